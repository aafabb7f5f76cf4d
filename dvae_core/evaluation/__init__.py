"""How good a model's latents are: scores that name their protocol, points and seed."""
