"""Attention and features of a source image, put into the evaluations of another."""
