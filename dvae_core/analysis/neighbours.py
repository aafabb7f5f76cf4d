"""The images nearest to a code."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dvae_core.analysis.encoded import EncodedSet
from dvae_core.errors import EvaluationError


@dataclass(frozen=True)
class Neighbours:
    """The images of an encoded set nearest to a code, the nearest first.

    Attributes:
        rows: of the encoded set, int64 (B,).
        distances: ascending, in standard deviations of a latent's code, float64 (B,).
    """

    rows: NDArray[np.int64]
    distances: NDArray[np.float64]


def nearest_images(
    encoded: EncodedSet,
    code: NDArray[np.floating],
    count: int = 12,
    without: int | None = None,
) -> Neighbours:
    """The images whose mean codes are nearest to a code (N,).

    The distance is Euclidean, with each latent in units of its standard deviation over the set.
    Latents that are not active (mean KL up to 0.05 nats) do not count. Of equal distances the lower
    row comes first.

    Args:
        encoded: codes of n images.
        code: (N,), such as a row of `encoded.codes`.
        count: number of images; all if there are fewer.
        without: a row to leave out, such as that of the image itself.

    Raises:
        EvaluationError: the code has another length or is not finite, or the count is below 1.
    """
    code = np.asarray(code, dtype=np.float64)
    if code.shape != (encoded.num_latents,) or not np.isfinite(code).all():
        raise EvaluationError(
            f"the code has the shape {code.shape}, but must be {encoded.num_latents} finite numbers"
        )
    if count < 1:
        raise EvaluationError(f"count is {count}, but must be at least 1")
    differences = (encoded.codes - code) * encoded.scales()  # (n, N)
    distances = np.sqrt(np.square(differences).sum(axis=1))
    order = np.argsort(distances, kind="stable")
    if without is not None:
        order = order[order != without]
    return Neighbours(order[:count], distances[order[:count]])
