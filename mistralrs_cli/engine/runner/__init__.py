"""The only caller of the model: prefill, decode, cancellation and attention."""
