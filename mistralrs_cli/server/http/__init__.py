"""What lies between a socket and a route: bodies, keys, errors, server-sent events."""
