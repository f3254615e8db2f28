"""What energies of attention share: maps, words, references, heat maps."""
