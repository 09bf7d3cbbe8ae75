"""Many questions in one go: rows in, rows out, as many at a time as the engine holds."""
