"""Rows of the latent board for a code of a model."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from dvae_core.analysis.latent_profile import LatentProfile
from dvae_core.models.latents import Latents, Posterior
from dvae_core.runs.names import NO_NAMES, LatentNames
from dvae_core.web.board import BoardRow


def board_rows(
    profile: LatentProfile,
    latents: Latents,
    values: Mapping[int, Tensor],
    *,
    start_code: Tensor,
    code: Tensor,
    posterior: Posterior | None = None,
    chosen: int | None = None,
    factor: int | None = None,
    names: LatentNames = NO_NAMES,
) -> list[BoardRow]:
    """What the board shows of each latent.

    Args:
        profile: what the data make of each latent.
        latents: of the model.
        values: where the handles may stop (P_j,), among those of the profile, by latent and in the
            order of the rows.
        start_code: (N,), where Escape and reset go back to.
        code: (N,), where the handles stand.
        posterior: of the start image; None where it began without an image.
        chosen: the latent to show first in the readout, or None.
        factor: whose information all rows show, such as that which they are ordered by; None for
            the factor that each latent encodes best.
        names: what people call the latents.
    """
    # Of all latents, N times (P_j,); those without a row are not used.
    points = [values.get(i, torch.from_numpy(row)) for i, row in enumerate(profile.values)]
    densities = None
    if posterior is not None:
        densities = posterior.density(points)  # N times (1, P_j)
    rows = []
    for latent, places in values.items():
        # Thinned values are among those that the profile has heights at.
        at = np.searchsorted(profile.values[latent], places.numpy())
        carries, information = profile.carries(latent, factor)
        rows.append(
            BoardRow(
                latent=latent,
                values=places.tolist(),
                start=start_code[latent].item(),
                value=code[latent].item(),
                kl_nats=shown_nats(profile, latents, posterior, latent),
                kl_of="the data, on average" if posterior is None else "the start image",
                chosen=latent == chosen,
                name=names.words(latent),
                posterior=() if densities is None else densities[latent][0].tolist(),
                aggregate=profile.aggregate[latent][at].tolist(),
                continuous=latents.num_categories is None,
                point=latents.is_deterministic,
                carries=carries,
                information=information,
                num_points=profile.num_points,
                # Where none is active, folding all would leave an empty board.
                active=bool(profile.active[latent] or not profile.active.any()),
                category_names=names.of_categories(latent),
                visited=profile.visited[latent][at],
            )
        )
    return rows


def shown_nats(
    profile: LatentProfile, latents: Latents, posterior: Posterior | None, latent: int
) -> float:
    """KL of the start image in nats; what the latent holds on average where there is none, or where
    the KL is the same for all images."""
    if posterior is None or latents.is_deterministic:
        return float(profile.held[latent])
    return posterior.kl()[0, latent].item()


def all_values(profile: LatentProfile, order: Sequence[int]) -> dict[int, Tensor]:
    """All values of the profile (P_j,), by latent in an order."""
    return {latent: torch.from_numpy(profile.values[latent]) for latent in order}
