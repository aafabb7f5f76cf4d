"""Unsupervised disentanglement ranking: agreement with other seeds of the same settings."""

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from dvae_core.config import apart_from_chance
from dvae_core.errors import EvaluationError, RunError
from dvae_core.evaluation.latent_statistics import held_nats
from dvae_core.evaluation.metric_spec import Measurement, MetricSpec, ScoreSpec
from dvae_core.evaluation.representation import draw_batches
from dvae_core.models.latents import PointPosterior
from dvae_core.progress import Progress, no_progress
from dvae_core.runs.catalog import list_runs
from dvae_core.runs.run import Run, State

if TYPE_CHECKING:
    from dvae_core.data.dataset import Dataset
    from dvae_core.evaluation.inputs import EvaluationInputs
    from dvae_core.models.vae import VAE

NUM_POINTS = 1_000
LEAST_KL = 0.01  # nats; latents below it are left out
PENALTY = 0.1
MOST_NAMED = 10  # seeds in the words of a result

Floats = NDArray[np.floating]


def unsupervised_disentanglement_ranking(
    codes: Sequence[Floats], kl: Sequence[Floats], *, progress: Progress = no_progress
) -> NDArray[np.float64]:
    """Agreement of each run with the others, (runs,), each in [0, 1].

    The latents of one run predict those of another by a lasso (penalty 0.1) on standardised codes;
    R (N, N) are the absolute coefficients, among latents with a KL above 0.01 nats. The agreement
    of two runs is the mean of (max R)^2 / sum R over columns, averaged with the same over rows: 1
    if every latent has one counterpart. The score of a run is the median over all other runs, of
    their predictions of it (Duan et al. 2020, "Unsupervised model selection for variational
    disentangled representation learning", as in disentanglement_lib's `udr.py`). It compares runs
    that differ only in the seed, and needs no labels.

    Args:
        codes: of the same images, (points, N) for each run.
        kl: mean KL of each latent in nats, (N,) for each run; of latents whose KL is constant, the
            entropy of their categories.
        progress: called with runs done.

    Raises:
        EvaluationError: fewer than two runs, or codes of other images or numbers of latents.
    """
    if len(codes) < 2:
        raise EvaluationError(
            f"UDR compares runs, but there is {len(codes)}: give at least two seeds"
        )
    shapes = {run.shape for run in codes}
    if len(shapes) > 1:
        raise EvaluationError(
            f"UDR compares the same points and latents, but codes are "
            f"{' and '.join(map(str, sorted(shapes)))}"
        )
    return np.array(
        [_agreement(codes, kl, run, progress) for run in range(len(codes))], dtype=np.float64
    )


def _agreement(
    codes: Sequence[Floats], kl: Sequence[Floats], run: int, progress: Progress
) -> float:
    """The score of one run among all."""
    inputs = [_standardized(code, divergence) for code, divergence in zip(codes, kl, strict=True)]
    active = [divergence > LEAST_KL for divergence in kl]
    found = []
    for other in range(len(codes)):
        progress(other, len(codes))
        if other != run:
            importance = _importance(inputs[other], inputs[run])
            found.append(one_to_one(importance[active[other]][:, active[run]]))
    progress(len(codes), len(codes))
    return float(np.median(found))


def one_to_one(importance: Floats) -> float:
    """Degree to which each row and each column of a matrix of importances has one large entry, in
    [0, 1] for entries up to 1; 0 without entries."""
    if importance.size == 0:
        return 0.0
    return float(np.mean([_concentration(importance), _concentration(importance.T)]))


def _concentration(importance: Floats) -> float:
    """Mean over columns of (largest entry)^2 / sum; a column of zeros counts 0."""
    sums = importance.sum(axis=0)
    shares = np.zeros(len(sums))
    np.divide(importance.max(axis=0) ** 2, sums, out=shares, where=sums > 0)
    return float(shares.mean())


def _importance(predicting: Floats, predicted: Floats) -> NDArray[np.float64]:
    """Absolute lasso coefficients, (N, N): rows predict columns."""
    from sklearn.linear_model import Lasso

    lasso = Lasso(alpha=PENALTY).fit(predicting, predicted)
    coefficients: NDArray[np.float64] = np.abs(np.atleast_2d(lasso.coef_)).T
    return coefficients


def _standardized(codes: Floats, kl: Floats) -> NDArray[np.float64]:
    from sklearn.preprocessing import StandardScaler

    scaled: NDArray[np.float64] = StandardScaler().fit_transform(codes.astype(np.float64))
    return scaled * (kl > LEAST_KL)


def _other_seeds(run: Run) -> list[Run]:
    """Finished runs beside a run, with a model and the same settings, apart from the seed."""
    wanted = apart_from_chance(run.record.used_settings)
    found: dict[int, Run] = {}
    for other in list_runs(run.path.parent):
        try:
            record = other.record
        except RunError:
            continue
        is_alike = apart_from_chance(record.used_settings) == wanted
        is_seed = is_alike and record.seed != run.record.seed and not other.problem()
        if is_seed and other.has_model and other.state() is State.FINISHED:
            found.setdefault(record.seed, other)
    return [found[seed] for seed in sorted(found)]


def _measured(inputs: "EvaluationInputs") -> Measurement:
    if inputs.run.record.imported is not None:
        raise EvaluationError(
            "UDR compares seeds of one setting; the settings of an imported model are unknown"
        )
    others = _other_seeds(inputs.run)
    if not others:
        raise EvaluationError(
            f"UDR needs other seeds of the same settings in the folder of {inputs.run.id}: train "
            f"some, then evaluate again"
        )
    codes, held = [], []
    for index, run in enumerate([inputs.run, *others]):
        inputs.progress(index, len(others) + 1)
        model = run.load_model(inputs.dataset.device)
        found = _codes_and_nats(model, inputs.dataset, inputs.settings.seed)
        codes.append(found[0])
        held.append(found[1])
    return Measurement(_agreement(codes, held, 0, no_progress))


@torch.inference_mode()
def _codes_and_nats(model: "VAE", dataset: "Dataset", seed: int) -> tuple[Floats, Floats]:
    """Mean codes (points, N) of random images, and what each latent holds, nats, (N,)."""
    means, divergences, probabilities = [], [], []
    for _, images in draw_batches(dataset, NUM_POINTS, seed):
        posterior = model.encode(images)
        means.append(posterior.mean_code().cpu())
        divergences.append(posterior.kl().cpu())
        if isinstance(posterior, PointPosterior):
            probabilities.append(posterior.probabilities().cpu())
    usage = list(torch.cat(probabilities).mean(0).numpy()) if probabilities else None
    kl = torch.cat(divergences).mean(0).numpy()
    return torch.cat(means).numpy(), held_nats(kl, usage)


def _compared(run: Run) -> str:
    others = _other_seeds(run)
    seeds = [f"{other.record.seed} ({other.status().step:,} steps)" for other in others]
    if len(seeds) > MOST_NAMED:
        digest = hashlib.sha256(", ".join(seeds).encode()).hexdigest()[:8]
        return f"median over {len(seeds)} other seeds ({digest})"
    return f"median over the seeds {', '.join(seeds) or 'none'}"


SPEC = MetricSpec(
    measure=_measured,
    scores=(
        ScoreSpec(
            "udr",
            "UDR",
            "Degree to which each latent has one counterpart in other seeds of the same settings.",
        ),
    ),
    estimator=lambda inputs: f"mean code; lasso, {_compared(inputs.run)}",
    seconds=12,
    source="Duan et al. 2020",
    needs_factors=False,
    depends_on_protocol=False,
    points=lambda settings: NUM_POINTS,
    compared=_compared,
)
