"""Guided sampling against exact conditional sampling, on mixtures of Gaussians."""
