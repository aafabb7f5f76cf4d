"""The tensors of trainer.safetensors, which follow from the config."""

import torch
from torch import Tensor

from dvae_core.config import RunConfig
from dvae_core.models.vae import build_model
from dvae_core.objectives import Objective, build_objective
from dvae_core.regularizers import Regularizers

GENERATORS = ("generator/data", "generator/noise")
"""States of the random generators, whose sizes depend on the device."""


def logged_terms(objective: Objective, regularizers: Regularizers) -> tuple[str, ...]:
    """Names of the terms of the loss that a training sums up between two rows of its log."""
    return ("loss", "reconstruction", *objective.term_names, *regularizers.term_names)


def expected_state(config: RunConfig, image_shape: tuple[int, int, int]) -> dict[str, Tensor]:
    """Tensors without content that have the names, shapes and types of all others that
    `dvae_core.training.trainer.Training.state` saves."""
    objective = build_objective(config)
    parts = {"model": build_model(config, image_shape), "objective": objective}
    whole, number = torch.tensor(0), torch.tensor(0.0)
    tensors = {"step": whole, "seconds": number, "summed_steps": whole}
    for name in logged_terms(objective, Regularizers(config)):
        tensors[f"sum/{name}"] = number
    for name, part in parts.items():
        for key, tensor in part.state_dict().items():
            tensors[f"{name}/{key}"] = tensor
        for key, parameter in part.named_parameters():
            tensors[f"adam/{name}/{key}/step"] = number
            for moment in ("exp_avg", "exp_avg_sq"):
                tensors[f"adam/{name}/{key}/{moment}"] = parameter
    return {name: tensor.to("meta") for name, tensor in tensors.items()}
