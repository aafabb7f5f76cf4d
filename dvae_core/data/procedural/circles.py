"""One white disc on black.

The smallest data set that shows a rotated latent space: two equivalent factors, x and y. Friede et
al. 2023 use a similar one; the size and the spacing are ours.
"""

from abc import abstractmethod

import torch
from torch import Tensor

from dvae_core.data.dataset import Dataset

POSITIONS = 32
# In units of the image width, so that both image sizes show the same scene.
RADIUS = 0.15
MARGIN = 0.02
FIRST = RADIUS + MARGIN  # centre of the first disc, in x and in y
LAST = 1.0 - FIRST


class _Disc(Dataset):
    """A disc with a soft edge of one pixel; factors x (left to right) and y (top to bottom)."""

    factor_names = ("x", "y")
    factor_sizes = (POSITIONS, POSITIONS)

    def __init__(self, image_size: int = 64, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self.image_shape = (1, image_size, image_size)
        self._pixels = (torch.arange(image_size, device=self.device) + 0.5) / image_size

    @abstractmethod
    def _centres(self, factors: Tensor, generator: torch.Generator | None) -> Tensor:
        """Centres (B, 2), x and y in units of the width, of the discs with factors (B, 2)."""

    def _draw(self, factors: Tensor, generator: torch.Generator | None) -> Tensor:
        x, y = self._centres(factors, generator).unbind(1)
        across = (self._pixels - x[:, None]).square()  # (B, W)
        down = (self._pixels - y[:, None]).square()  # (B, H)
        distance = (across[:, None, :] + down[:, :, None]).sqrt()  # (B, H, W)
        edge = (RADIUS - distance) * len(self._pixels) + 0.5
        return edge.clamp(0.0, 1.0).unsqueeze(1)  # (B, H, W) -> (B, 1, H, W)


class Circles(_Disc):
    """A disc at 32 x 32 evenly spaced positions."""

    name = "circles"

    def __init__(self, image_size: int = 64, device: torch.device | str = "cpu") -> None:
        super().__init__(image_size, device)
        self._positions = torch.linspace(FIRST, LAST, POSITIONS, device=self.device)

    def _centres(self, factors: Tensor, generator: torch.Generator | None) -> Tensor:
        return self._positions[factors]


class ContinuousCircles(_Disc):
    """A disc at any x and y in the same range.

    Each factor is one of 32 equally wide bins of a real-valued coordinate; the position within the
    bin is random for each image. Uniform factors therefore give uniform positions, and metrics see
    the bins. Without a generator, the disc is in the middle of its bins.
    """

    name = "circles_continuous"
    is_noisy = True
    noise = "where the disc is within the bins of x and y"

    def _centres(self, factors: Tensor, generator: torch.Generator | None) -> Tensor:
        within: float | Tensor = 0.5
        if generator is not None:
            within = torch.rand(factors.shape, generator=generator, device=self.device)
        return FIRST + (LAST - FIRST) * (factors + within) / POSITIONS
