"""Variational autoencoders whose latents are ordered categories on a grid, beside Gaussian ones."""
