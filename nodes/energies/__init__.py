"""A node for each energy."""
