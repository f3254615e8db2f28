"""Nodes that load the embedded model and guide networks."""
