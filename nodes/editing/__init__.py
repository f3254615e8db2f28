"""Nodes that edit an image."""
