"""Processors that transformers lacks, or has with a fault. Importing one imports torch."""
