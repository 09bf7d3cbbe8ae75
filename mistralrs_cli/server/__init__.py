"""``mistralrs serve``: the engine behind OpenAI's and Anthropic's HTTP interfaces."""
