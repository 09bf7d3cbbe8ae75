"""Tool calls: offered in the prompt, constrained by a grammar, parsed from the answer."""
