"""A node for each rule."""
