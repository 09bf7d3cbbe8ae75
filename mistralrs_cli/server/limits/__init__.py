"""What one server takes at a time: requests, memory and threads."""
