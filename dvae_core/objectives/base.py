"""What every objective is: a module that prices the posterior and the code of a batch."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from dvae_core.models.latents import Posterior


@dataclass(frozen=True)
class Penalty:
    """What is added to the reconstruction, averaged over the batch.

    Attributes:
        total: the weighted sum to minimise, nats per image, a scalar.
        terms: its parts by name, in the order of `term_names`, scalars in nats per image, to be
            logged. Without their weights, save where an objective says so.
        own_gradients: of the objective's own parameters, in their order; none where it has none.
    """

    total: Tensor
    terms: dict[str, Tensor]
    own_gradients: tuple[Tensor, ...] = ()


class Objective(nn.Module, ABC):
    """What is added to the reconstruction, for both families of latents.

    Attributes:
        term_names: names of the terms of each `Penalty`.
    """

    term_names: ClassVar[tuple[str, ...]]

    def noise(
        self, shape: tuple[int, int], generator: torch.Generator, device: torch.device
    ) -> Tensor | None:
        """Random numbers that `forward` needs for a batch of codes (B, N): none."""
        return None

    @abstractmethod
    def forward(
        self, posterior: Posterior, code: Tensor, noise: Tensor | None, step: Tensor
    ) -> Penalty:
        """The penalty of a batch.

        Args:
            posterior: of B images.
            code: (B, N), sampled from it.
            noise: of `noise`.
            step: updates done before this one, a scalar.
        """

    def code_penalty(self, posterior: Posterior, code: Tensor) -> Tensor:
        """The part of the penalty, weighted, that depends on the code (B, N) and not on the
        posterior alone; nats per image, a scalar. Zero where there is no such part."""
        return code.new_zeros(())


def mean_kl(posterior: Posterior) -> Tensor:
    """KL(q(z|x) || p(z)) summed over latents and averaged over the batch, in nats: a scalar."""
    return posterior.kl().sum(1).mean()
