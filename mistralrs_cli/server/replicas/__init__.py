"""Several processes with the same application, each with its model, behind one address."""
