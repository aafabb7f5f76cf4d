"""The discriminator of FactorVAE (Kim & Mnih 2018), with a single backward pass.

Model and discriminator use the same logits: the model the mean log density ratio of its codes, the
discriminator its cross entropy. For each code, both gradients at the logits point along (1, -1),
because the probabilities of two classes sum to one; their ratio is known after the forward pass.
Layers act on each code separately, so this ratio is the same in every layer and one backward pass
gives both gradients: unscaled for the codes, scaled row by row for the weights.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# As in the reference implementation; disentanglement_lib uses 0.2.
SLOPE = 0.01


@dataclass(frozen=True)
class DiscriminatorStep:
    """The results of `Discriminator.step` for the model and for the discriminator.

    Attributes:
        log_density_ratio: mean over the codes of log q(z) - log prod q(z_i), nats, a scalar;
            differentiable with respect to the codes only.
        gradients: of the discriminator's loss with respect to its parameters, in their order.
    """

    log_density_ratio: Tensor
    gradients: tuple[Tensor, ...]


class Discriminator(nn.Module):
    """Classifies codes (B, N) as drawn jointly or permuted latent by latent: two logits (B, 2).

    Gives the density ratio for the total correlation of FactorVAE (Kim & Mnih 2018, section 3).
    """

    def __init__(self, num_latents: int, width: int = 1000, num_hidden: int = 6) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for layer in range(num_hidden):
            layers.append(nn.Linear(num_latents if layer == 0 else width, width))
            layers.append(nn.LeakyReLU(SLOPE))
        layers.append(nn.Linear(width, 2))
        self.layers = nn.Sequential(*layers)

    def forward(self, codes: Tensor) -> Tensor:
        return self.layers(codes)

    def log_density_ratio(self, codes: Tensor) -> Tensor:
        """Mean over codes (B, N) of the difference of the two logits, in nats: a scalar."""
        logits = self(codes)
        return (logits[:, 0] - logits[:, 1]).mean()

    def step(self, codes: Tensor, permuted: Tensor) -> DiscriminatorStep:
        """Density ratio and gradients for codes (B, N) and the same codes permuted latent by
        latent. Does not change weights.

        The discriminator's loss is 0.5 (CE(D(codes), 0) + CE(D(permuted), 1)).
        """
        value, code_gradient, gradients = self._pass_through(codes, permuted)
        return DiscriminatorStep(_WithGradient.apply(codes, value, code_gradient), gradients)

    @torch.no_grad()
    def _pass_through(
        self, codes: Tensor, permuted: Tensor
    ) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        count = len(codes)
        linears = [layer for layer in self.layers if isinstance(layer, nn.Linear)]
        inputs = [torch.cat([codes, permuted])]
        for linear in linears[:-1]:
            inputs.append(F.leaky_relu_(linear(inputs[-1]), SLOPE))
        logits = linears[-1](inputs[-1])
        ratio = logits[:, 0] - logits[:, 1]
        mistaken = torch.cat([-(-ratio[:count]).sigmoid(), ratio[count:].sigmoid()])
        scale = (0.5 / count) * mistaken.unsqueeze(1)  # (2 B, 1)
        delta = ratio.new_tensor([1.0, -1.0]).expand(2 * count, 2)  # d ratio / d logits, by row
        gradients: list[Tensor] = []
        for linear, layer_inputs in zip(reversed(linears), reversed(inputs), strict=True):
            scaled = scale * delta
            gradients += [scaled.sum(0), scaled.T @ layer_inputs]  # bias, weight
            delta = delta @ linear.weight
            if linear is not linears[0]:
                delta = torch.ops.aten.leaky_relu_backward(delta, layer_inputs, SLOPE, True)
        # The model gets gradients of the codes as drawn, but not of the permuted ones.
        return ratio[:count].mean(), delta[:count] / count, tuple(reversed(gradients))


class _WithGradient(torch.autograd.Function):
    """A scalar with a precomputed gradient with respect to the codes."""

    @staticmethod
    def forward(ctx: Any, codes: Tensor, value: Tensor, gradient: Tensor) -> Tensor:
        ctx.save_for_backward(gradient)
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return outputs[0] * gradient, None, None
