"""The HTTP interfaces: one module for each, from its body to a request and from the answer to its format."""
