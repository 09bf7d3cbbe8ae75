"""From logits to the next token: parameters, penalties, grammars and log probabilities."""
