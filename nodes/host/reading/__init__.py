"""Attention and features inside models, and the words of text encoders."""
