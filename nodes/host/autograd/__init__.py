"""What lets a gradient through the host's models."""
