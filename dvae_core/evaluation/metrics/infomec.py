"""InfoM, InfoE and InfoC: information-based modularity, explicitness and compactness."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dvae_core.errors import EvaluationError
from dvae_core.evaluation.checks import (
    Codes,
    Factors,
    check_factors_vary,
    check_points,
)
from dvae_core.evaluation.information import Correction, measure_information
from dvae_core.evaluation.metric_spec import Measurement, MetricSpec, ScoreSpec, values_or_reasons
from dvae_core.progress import Progress, no_progress

if TYPE_CHECKING:
    from dvae_core.evaluation.inputs import EvaluationInputs

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
        infoe: explicitness, the share of each factor that a linear classifier reads from the codes;
            None if a held-out point has a value that no training point has.
        infoc: compactness, the share of each factor's information that a single active latent
            holds; None for fewer than two active latents.
        active: (N,), whether the codes of a latent vary enough to count.
        undefined: the reason for each score that is None, by its name.
    """

    infom: float | None
    infoe: float | None
    infoc: float | None
    active: NDArray[np.bool_]
    undefined: dict[str, str] = field(default_factory=dict)


def infomec(
    codes: Codes,
    factors: Factors,
    *,
    held_out: tuple[Codes, Factors, Codes, Factors] | None = None,
    correction: Correction | None = None,
    seed: int = 0,
    progress: Progress = no_progress,
) -> InfoMEC:
    """InfoM, InfoE and InfoC of codes (points, N).

    With NMI (F, N) = mutual information / entropy of the factor, over active latents:
    InfoM = (mean over latents of max_f / sum_f - 1/F) / (1 - 1/F); InfoC is the same over factors,
    with the number of active latents in place of F. A latent (or factor) without information counts
    as one with evenly spread information. InfoE = mean over factors of 1 - H1 / H0, where H1 is the
    log loss, on its training points, of an unpenalised, class-balanced, multinomial logistic
    regression from one-hot categories or standardised codes, and H0 that of a constant prediction
    with equal probabilities (Hsu et al. 2023, "Disentanglement via latent quantization",
    `infomec.py` of its repository). On its training points, a regression with hundreds of
    categories finds information in random codes. With `held_out`, H1 is the log loss on points
    that the regression was not fitted to, with an L2 penalty (C = 1); InfoE is below 0 if it
    predicts worse than equal probabilities.

    Args:
        codes: integer categories, whose information is counted, or floating-point codes, whose
            information is estimated from the 10 nearest neighbours (Ross 2014), without bins.
        factors: integer (points, F).
        held_out: codes and factors to fit the regression of InfoE to, then those to test it on.
        correction: of counted information.
        seed: of the noise that separates equal codes in the neighbour estimate.
        progress: called with factors done.

    Raises:
        EvaluationError: malformed arrays, a factor with a single value, or no more points than
            categories or neighbours.
    """
    check_points(codes, factors)
    check_factors_vary(factors)
    if held_out:
        fit_codes, fit_factors, test_codes, test_factors = held_out
        check_points(fit_codes, fit_factors)
        check_points(test_codes, test_factors)
        shapes = [
            (c.shape[1], f.shape[1])
            for c, f in ((fit_codes, fit_factors), (test_codes, test_factors))
        ]
        if len({*shapes, (codes.shape[1], factors.shape[1])}) > 1:
            raise EvaluationError(
                f"the codes have {codes.shape[1]} latents and {factors.shape[1]} factors, but the "
                f"points of InfoE have {shapes[0]} and {shapes[1]}"
            )
    discrete = np.issubdtype(codes.dtype, np.integer)
    if not discrete and len(codes) <= NUM_NEIGHBORS:
        raise EvaluationError(
            f"{len(codes)} points have no {NUM_NEIGHBORS} neighbours each: draw more points"
        )
    num_factors = factors.shape[1]
    if discrete:
        shares = _counted(codes, factors, correction)  # (N, F)
    else:
        shares = _estimated_from_neighbors(codes, factors, seed)
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
    untrained = _untrained_value(held_out[1], held_out[3]) if held_out else ""
    if untrained:
        undefined["infoe"] = untrained
    return InfoMEC(
        infom=None if "infom" in undefined else exclusiveness(shares[active]),
        infoe=None
        if untrained
        else _explicitness(
            *(held_out or (codes, factors, codes, factors)),
            strength=1.0 if held_out else np.inf,
            progress=progress,
        ),
        infoc=None if "infoc" in undefined else exclusiveness(shares[active].T),
        active=active,
        undefined=undefined,
    )


def _counted(codes: Codes, factors: Factors, correction: Correction | None) -> NDArray[np.float64]:
    information = measure_information(codes, factors, num_bins=None, correction=correction)
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


def exclusiveness(shares: NDArray[np.float64]) -> float:
    """InfoM of shares of information (N, F), InfoC of their transpose: mean over rows of max / sum,
    rescaled so that an even row gives 0."""
    even = 1 / shares.shape[1]
    sums = shares.sum(axis=1)
    largest = np.full(len(shares), even)
    np.divide(shares.max(axis=1), sums, out=largest, where=sums > 0)
    return float((largest.mean() - even) / (1 - even))


def _untrained_value(factors: Factors, held_out: Factors) -> str:
    """Why InfoE is undefined, or "": a classifier gives a value without training points no
    probability."""
    for column, test_column in zip(factors.T, held_out.T, strict=True):
        if len(np.unique(column)) == 1:
            return (
                f"InfoE needs two values of each factor among the {len(column):,} training points: "
                f"use more images"
            )
        missing = np.setdiff1d(test_column, column)
        if len(missing):
            return (
                f"InfoE needs each value of a factor among the {len(column):,} training points, "
                f"but value {missing[0]} of a factor is only among the held-out ones: draw more "
                f"points"
            )
    return ""


def _explicitness(
    codes: Codes,
    factors: Factors,
    test_codes: Codes,
    test_factors: Factors,
    strength: float,
    progress: Progress,
) -> float:
    """InfoE, with the inverse strength of the penalty."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    discrete = np.issubdtype(codes.dtype, np.integer)
    # A category that only held-out points have says nothing.
    encoder: Any = OneHotEncoder(handle_unknown="ignore") if discrete else StandardScaler()
    inputs = encoder.fit_transform(codes.astype(np.float64))
    test_inputs = encoder.transform(test_codes.astype(np.float64))
    gains = []
    for index, (column, test_column) in enumerate(zip(factors.T, test_factors.T, strict=True)):
        progress(index, factors.shape[1])
        classifier = LogisticRegression(
            C=strength, class_weight="balanced", solver="lbfgs", max_iter=MAX_ITERATIONS
        )
        # Without a penalty separable classes have no optimum: H1 is after 100 iterations, and
        # scikit-learn warns of it.
        classifier.fit(inputs, column)
        predicted = classifier.predict_proba(test_inputs)
        loss = log_loss(test_column, predicted, labels=classifier.classes_)
        gains.append(1 - loss / np.log(len(classifier.classes_)))
    progress(factors.shape[1], factors.shape[1])
    return float(np.mean(gains))


def _standardized(codes: Codes) -> NDArray[np.float64]:
    from sklearn.preprocessing import StandardScaler

    return StandardScaler().fit_transform(codes.astype(np.float64))


def _measured(inputs: "EvaluationInputs") -> Measurement:
    codes: Codes
    if inputs.uses_categories:
        codes, factors = inputs.cells, inputs.factors
    else:
        points = inputs.comparable
        codes, factors = points.codes, points.factors[:, inputs.factor_indices]
    found = infomec(
        codes,
        factors,
        held_out=_held_out(inputs) if inputs.holds_images_out else None,
        correction=inputs.counting[1],
        seed=inputs.settings.seed,
        progress=inputs.progress,
    )
    return Measurement(*values_or_reasons(found, "infom", "infoe", "infoc"))


def _held_out(inputs: "EvaluationInputs") -> tuple[Codes, Factors, Codes, Factors]:
    fit_codes, fit_factors, test_codes, test_factors = inputs.fit_and_test
    if not inputs.uses_categories:
        return fit_codes, fit_factors, test_codes, test_factors
    assert inputs.fit.categories is not None
    assert inputs.test.categories is not None
    return inputs.fit.categories, fit_factors, inputs.test.categories, test_factors


def _estimator(inputs: "EvaluationInputs") -> str:
    if inputs.uses_categories:
        counted = inputs.counting_in_words
    else:
        counted = (
            f"mean code; {NUM_NEIGHBORS} nearest neighbours, without bins"
            f"{inputs.comparable_in_words}"
        )
    held_out = "; InfoE on held-out images, L2 penalty"
    return counted + (held_out if inputs.holds_images_out else "")


SPEC = MetricSpec(
    measure=_measured,
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
    estimator=_estimator,
    seconds=15,
    source="Hsu et al. 2023",
    is_tested=True,
)
