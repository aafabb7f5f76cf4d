"""Evaluation of a model's latents: metrics, and the protocols under which they are computed."""
