"""Presentation: the only package that prints."""
