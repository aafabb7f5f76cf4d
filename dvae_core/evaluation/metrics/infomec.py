"""InfoM, InfoE and InfoC: information-based modularity, explicitness and compactness."""

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dvae_core.errors import EvaluationError
from dvae_core.evaluation.checks import Codes, Factors, check_factors_vary, check_points
from dvae_core.evaluation.information import measure_information
from dvae_core.evaluation.metric_spec import Measurement, MetricSpec, ScoreSpec, values_or_reasons
from dvae_core.progress import Progress, no_progress

# A continuous latent with a smaller share of the widest latent's range counts as inactive.
ACTIVE_SHARE_OF_RANGE = 1 / 20
NUM_NEIGHBORS = 10
MAX_ITERATIONS = 100


@dataclass(frozen=True)
class InfoMEC:
    """The three scores of Hsu et al., at most 1 each.

    Attributes:
        infom: modularity, the share of each active latent's information that is about a single
            factor; None for one factor or no active latent.
        infoe: explicitness, the share of each factor that a linear classifier reads from the codes.
        infoc: compactness, the share of each factor's information that a single active latent
            holds; None for fewer than two active latents.
        active: (N,), whether the codes of a latent vary enough to count.
        undefined: the reason for each score that is None, by its name.
    """

    infom: float | None
    infoe: float
    infoc: float | None
    active: NDArray[np.bool_]
    undefined: dict[str, str] = field(default_factory=dict)


def infomec(
    codes: Codes, factors: Factors, *, seed: int = 0, progress: Progress = no_progress
) -> InfoMEC:
    """InfoM, InfoE and InfoC of codes (points, N).

    With NMI (F, N) = mutual information / entropy of the factor, over active latents:
    InfoM = (mean over latents of max_f / sum_f - 1/F) / (1 - 1/F); InfoC is the same over factors,
    with the number of active latents in place of F. A latent (or factor) without information counts
    as one with evenly spread information. InfoE = mean over factors of 1 - H1 / H0, where H1 is the
    log loss, on its training points, of an unpenalised, class-balanced, multinomial logistic
    regression from one-hot categories or standardised codes, and H0 that of a constant prediction
    with equal probabilities (Hsu et al. 2023, "Disentanglement via latent quantization",
    `infomec.py` of its repository).

    Args:
        codes: integer categories, whose information is counted, or floating-point codes, whose
            information is estimated from the 10 nearest neighbours (Ross 2014), without bins.
        factors: integer (points, F).
        seed: of the noise that separates equal codes in the neighbour estimate.
        progress: called with factors done.

    Raises:
        EvaluationError: malformed arrays, a factor with a single value, or no more points than
            categories or neighbours.
    """
    check_points(codes, factors)
    check_factors_vary(factors)
    discrete = np.issubdtype(codes.dtype, np.integer)
    if not discrete and len(codes) <= NUM_NEIGHBORS:
        raise EvaluationError(
            f"{len(codes)} points have no {NUM_NEIGHBORS} neighbours each: draw more points"
        )
    num_factors = factors.shape[1]
    information = _counted if discrete else _estimated_from_neighbors
    shares = information(codes, factors, seed)  # (N, F)
    ranges = np.ptp(codes, axis=0)
    active = ranges > 0 if discrete else ranges > ACTIVE_SHARE_OF_RANGE * ranges.max()
    num_active = int(active.sum())

    undefined = {}
    if num_factors == 1:
        undefined["infom"] = "InfoM needs at least two factors, but there is one factor"
    elif num_active == 0:
        undefined["infom"] = "InfoM needs an active latent, but none is active"
    if num_active < 2:
        undefined["infoc"] = (
            f"InfoC needs at least two active latents, but {num_active} of {len(active)} are active"
        )
    return InfoMEC(
        infom=None if "infom" in undefined else _exclusiveness(shares[active]),
        infoe=_explicitness(codes, factors, discrete, progress),
        infoc=None if "infoc" in undefined else _exclusiveness(shares[active].T),
        active=active,
        undefined=undefined,
    )


def _counted(codes: Codes, factors: Factors, seed: int) -> NDArray[np.float64]:
    information = measure_information(codes, factors, num_bins=None)
    return information.matrix / information.factor_entropy


def _estimated_from_neighbors(codes: Codes, factors: Factors, seed: int) -> NDArray[np.float64]:
    from sklearn.feature_selection import mutual_info_classif

    factor_entropy = measure_information(factors, factors, num_bins=None).factor_entropy
    standardized = _standardized(codes)
    columns = [
        mutual_info_classif(
            standardized,
            column,
            discrete_features=False,
            n_neighbors=NUM_NEIGHBORS,
            random_state=seed,
        )
        for column in factors.T
    ]
    return np.stack(columns, axis=1) / factor_entropy  # (N, F)


def _exclusiveness(shares: NDArray[np.float64]) -> float:
    """Mean over rows of max / sum, rescaled so that an even row gives 0."""
    even = 1 / shares.shape[1]
    sums = shares.sum(axis=1)
    largest = np.full(len(shares), even)
    np.divide(shares.max(axis=1), sums, out=largest, where=sums > 0)
    return float((largest.mean() - even) / (1 - even))


def _explicitness(codes: Codes, factors: Factors, discrete: bool, progress: Progress) -> float:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss
    from sklearn.preprocessing import OneHotEncoder

    inputs: Any = OneHotEncoder().fit_transform(codes) if discrete else _standardized(codes)
    gains = []
    for index, column in enumerate(factors.T):
        progress(index, factors.shape[1])
        classifier = LogisticRegression(
            C=np.inf, class_weight="balanced", solver="lbfgs", max_iter=MAX_ITERATIONS
        )
        with warnings.catch_warnings():
            # Without a penalty separable classes have no optimum: H1 is after 100 iterations.
            warnings.simplefilter("ignore", ConvergenceWarning)
            classifier.fit(inputs, column)
        loss = log_loss(column, classifier.predict_proba(inputs), labels=classifier.classes_)
        gains.append(1 - loss / np.log(len(classifier.classes_)))
    progress(factors.shape[1], factors.shape[1])
    return float(np.mean(gains))


def _standardized(codes: Codes) -> NDArray[np.float64]:
    from sklearn.preprocessing import StandardScaler

    return StandardScaler().fit_transform(codes.astype(np.float64))


SPEC = MetricSpec(
    measure=lambda inputs: Measurement(
        *values_or_reasons(
            infomec(
                inputs.cells,
                inputs.factors,
                seed=inputs.settings.seed,
                progress=inputs.progress,
            ),
            "infom",
            "infoe",
            "infoc",
        )
    ),
    scores=(
        ScoreSpec(
            "infom",
            "InfoM",
            "Degree to which each active latent is informative about one factor only.",
        ),
        ScoreSpec(
            "infoe",
            "InfoE",
            "Information about the factors that a linear classifier reads from all latents.",
        ),
        ScoreSpec(
            "infoc",
            "InfoC",
            "Degree to which one active latent only is informative about each factor.",
        ),
    ),
    estimator=lambda inputs: (
        f"{inputs.categories_in_words}; plug-in"
        if inputs.uses_categories
        else f"mean code; {NUM_NEIGHBORS} nearest neighbours, without bins"
    ),
    seconds=15,
    source="Hsu et al. 2023",
)
