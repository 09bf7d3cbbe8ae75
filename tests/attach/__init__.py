"""Engines in other processes."""
