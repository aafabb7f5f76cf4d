"""What every metric on plain arrays asks of its codes (points, N) and factors (points, F)."""

import numpy as np
from numpy.typing import NDArray

from dvae_core.errors import EvaluationError

Codes = NDArray[np.floating] | NDArray[np.integer]
Factors = NDArray[np.integer]

# Beyond it, differences of single-precision codes soon overflow.
LARGEST_CODE = 1e30


def check_points(codes: Codes, factors: Factors) -> None:
    """Refuse codes and factors of which no score could be made.

    Args:
        codes: (points, N), integer or finite floating point.
        factors: integer (points, F).

    Raises:
        EvaluationError: wrong shapes or types, no points, no latents, no factors, a code that is
            not finite or beyond 1e30.
    """
    check_codes(codes)
    if factors.ndim != 2 or not np.issubdtype(factors.dtype, np.integer):
        raise EvaluationError(
            f"factors must be integers of shape (points, F), not {factors.dtype} {factors.shape}"
        )
    if factors.shape[1] == 0:
        raise EvaluationError("there are no ground-truth factors to score the latents against")
    if len(codes) != len(factors):
        raise EvaluationError(
            f"codes and factors must have the same points, but there are {len(codes)} and "
            f"{len(factors)}"
        )


def check_train_and_test(
    codes_train: Codes, factors_train: Factors, codes_test: Codes, factors_test: Factors
) -> None:
    """`check_points` of both, and that they have the same latents and factors.

    Raises:
        EvaluationError: they have not, either is malformed, or a factor has a single value in
            training.
    """
    check_points(codes_train, factors_train)
    check_points(codes_test, factors_test)
    train = (codes_train.shape[1], factors_train.shape[1])
    test = (codes_test.shape[1], factors_test.shape[1])
    if train != test:
        raise EvaluationError(
            f"training has {train[0]} latents and {train[1]} factors, so testing must have as "
            f"many, but has {test[0]} and {test[1]}"
        )
    check_factors_vary(factors_train)


def check_codes(codes: Codes) -> None:
    """Refuse what is no (points, N) array of finite numbers, with `EvaluationError`."""
    if codes.ndim != 2 or not (
        np.issubdtype(codes.dtype, np.floating) or np.issubdtype(codes.dtype, np.integer)
    ):
        raise EvaluationError(
            f"codes must be numbers of shape (points, N), not {codes.dtype} {codes.shape}"
        )
    if 0 in codes.shape:
        raise EvaluationError(f"codes hold no points or no latents: their shape is {codes.shape}")
    if np.issubdtype(codes.dtype, np.floating):
        sound = (np.abs(codes) < LARGEST_CODE).all(axis=0)
        if not sound.all():
            raise EvaluationError(
                f"latent {int(np.argmin(sound))} has codes that are not finite, or beyond "
                f"{LARGEST_CODE:g}: the model has diverged, train it again"
            )


def check_factors_vary(factors: Factors) -> None:
    """Refuse a factor with a single value: it has no entropy to share out.

    Raises:
        EvaluationError: naming the first such factor.
    """
    constant = (factors == factors[0]).all(axis=0)
    if constant.any():
        raise EvaluationError(
            f"factor {int(np.argmax(constant))} has a single value in these "
            f"{len(factors)} points, so no latent can encode it: leave it out or draw more points"
        )


def check_several_latents(codes: Codes, metric: str) -> None:
    """Refuse a single latent, for metrics that compare the best latent with the second best."""
    if codes.shape[1] < 2:
        raise EvaluationError(
            f"{metric} compares the best latent with the second best, but there is one latent"
        )


def check_several_factors(num_factors: int, metric: str) -> None:
    """Refuse a single factor, for metrics that ask which of several factors a latent tells of."""
    if num_factors < 2:
        raise EvaluationError(
            f"{metric} asks which of several factors a latent encodes, but there is "
            f"{'one factor' if num_factors else 'none that varies'}"
        )
