"""Files and batch jobs as OpenAI has them: kept on disk, and run behind interactive requests."""
