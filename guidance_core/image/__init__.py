"""What energies of the image share: batches, masks, degradations, views of CLIP."""
