"""Architectures that transformers does not have, in this package's own words: nothing a checkpoint brings is run.

Each package holds a configuration, a model and a processor of transformers' own kinds. Its family imports it when such
a checkpoint is loaded, and ``register`` makes it known to the Auto classes, so that the rest of the loading sees an
ordinary architecture. A registered class also wins over code that a checkpoint names in ``auto_map``.
"""
