"""The command line: words in, one job out."""
