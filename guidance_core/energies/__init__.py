"""Energies: what a picture should be, one per file."""
