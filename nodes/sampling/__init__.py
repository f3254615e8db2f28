"""Nodes that apply guidance and sample."""
