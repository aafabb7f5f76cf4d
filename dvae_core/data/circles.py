"""`circles`: one white disc on black, at 32 x 32 positions.

The smallest set on which a turned latent space can be seen: two factors of equal rank, x and y.
Friede et al. 2023 use one of this kind; size and spacing here are ours.
"""

import torch
from torch import Tensor

from dvae_core.data.base import Dataset

POSITIONS = 32
# In units of the image's width, so that both image sizes show the same scene.
RADIUS = 0.15
MARGIN = 0.02


class Circles(Dataset):
    """One disc with a soft edge of one pixel; factors x (left to right) and y (top to bottom)."""

    name = "circles"
    factor_names = ("x", "y")
    factor_sizes = (POSITIONS, POSITIONS)

    def __init__(self, image_size: int = 64, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self.image_shape = (1, image_size, image_size)
        first = RADIUS + MARGIN
        self._centres = torch.linspace(first, 1.0 - first, POSITIONS, device=self.device)
        self._pixels = (torch.arange(image_size, device=self.device) + 0.5) / image_size

    def _draw(self, factors: Tensor, generator: torch.Generator | None) -> Tensor:
        x, y = self._centres[factors].unbind(1)
        across = (self._pixels - x[:, None]).square()  # (B, W)
        down = (self._pixels - y[:, None]).square()  # (B, H)
        distance = (across[:, None, :] + down[:, :, None]).sqrt()  # (B, H, W)
        edge = (RADIUS - distance) * len(self._pixels) + 0.5
        return edge.clamp(0.0, 1.0).unsqueeze(1)  # (B, H, W) -> (B, 1, H, W)
