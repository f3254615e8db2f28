"""Nodes that guide a MODEL by themselves: one between loader and sampler."""
