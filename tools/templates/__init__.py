"""Writes the templates for real checkpoints, page and API form, from compact descriptions."""
