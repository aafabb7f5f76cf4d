"""Checks of codes (points, N) and factors (points, F), shared by all metrics on plain arrays."""

import numpy as np
from numpy.typing import NDArray

from dvae_core.errors import EvaluationError

Codes = NDArray[np.floating] | NDArray[np.integer]
Factors = NDArray[np.integer]

# Differences of larger single-precision codes may overflow.
LARGEST_CODE = 1e30


def check_points(codes: Codes, factors: Factors) -> None:
    """Check codes (points, N), integer or finite floating point, and integer factors (points, F).

    Raises:
        EvaluationError: wrong shapes or types, no points, latents or factors, or a code that is not
            finite or above 1e30.
    """
    check_codes(codes)
    if factors.ndim != 2 or not np.issubdtype(factors.dtype, np.integer):
        raise EvaluationError(
            f"factors are {factors.dtype} {factors.shape}, but must be integers (points, F)"
        )
    if factors.shape[1] == 0:
        raise EvaluationError("metrics need ground-truth factors, but there are none")
    if len(codes) != len(factors):
        raise EvaluationError(
            f"there are {len(codes)} codes and {len(factors)} factors, but each point needs both"
        )


def check_train_and_test(
    codes_train: Codes, factors_train: Factors, codes_test: Codes, factors_test: Factors
) -> None:
    """`check_points` of both sets.

    Raises:
        EvaluationError: either set is malformed, they differ in N or F, or a factor has a single
            value in training.
    """
    check_points(codes_train, factors_train)
    check_points(codes_test, factors_test)
    train = (codes_train.shape[1], factors_train.shape[1])
    test = (codes_test.shape[1], factors_test.shape[1])
    if train != test:
        raise EvaluationError(
            f"the training set has {train[0]} latents and {train[1]} factors, but the test set "
            f"has {test[0]} and {test[1]}"
        )
    check_factors_vary(factors_train)


def check_codes(codes: Codes) -> None:
    """Raise `EvaluationError` unless codes are finite numbers (points, N)."""
    if codes.ndim != 2 or not (
        np.issubdtype(codes.dtype, np.floating) or np.issubdtype(codes.dtype, np.integer)
    ):
        raise EvaluationError(
            f"codes are {codes.dtype} {codes.shape}, but must be numbers (points, N)"
        )
    if 0 in codes.shape:
        raise EvaluationError(f"codes are {codes.shape}, but need a point and a latent")
    if np.issubdtype(codes.dtype, np.floating):
        sound = (np.abs(codes) < LARGEST_CODE).all(axis=0)
        if not sound.all():
            raise EvaluationError(
                f"codes of latent {int(np.argmin(sound))} are not finite or above "
                f"{LARGEST_CODE:g}: the model has diverged, train it again"
            )


def check_factors_vary(factors: Factors) -> None:
    """Raise `EvaluationError` for a factor with a single value, which has no entropy."""
    constant = (factors == factors[0]).all(axis=0)
    if constant.any():
        raise EvaluationError(
            f"factor {int(np.argmax(constant))} has a single value in these "
            f"{len(factors)} points: leave it out or draw more points"
        )


def check_several_latents(codes: Codes, metric: str) -> None:
    """Raise `EvaluationError` for a single latent: the metric compares the two best latents."""
    if codes.shape[1] < 2:
        raise EvaluationError(
            f"{metric} compares the best latent with the second best, but there is one latent"
        )


def check_several_factors(num_factors: int, metric: str) -> None:
    """Raise `EvaluationError` for fewer than two factors: the metric compares factors."""
    if num_factors < 2:
        raise EvaluationError(
            f"{metric} needs at least two factors that vary, but there is "
            f"{'one factor' if num_factors else 'none'}"
        )
