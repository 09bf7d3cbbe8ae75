"""The page at ``/ui``: its files, what it asks of the server beside OpenAI's interface, and who may ask that."""
