"""Energies: what an image should be, one per file."""
