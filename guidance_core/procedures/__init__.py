"""Whole procedures around a sampler: inversion, recurrence, edit directions, search."""
