"""Edits of Shapes by a direction in h-space, judged from pixels."""
