"""Tiny random checkpoints of encoder-decoder speech models, which the tests of language models do not run."""
