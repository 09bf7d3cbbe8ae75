"""The KV cache of running and earlier answers: layers, snapshots, prefixes, and the memory they may take."""
