"""Tool calls: offered in the prompt, held to by a grammar, parsed from the answer."""
