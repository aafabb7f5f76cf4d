import time
from typing import Any

import numpy as np
import psutil
import pytest

from dvae_core.evaluation.metrics.dci import DCI, Variant, call_in_processes, dci
from tests.evaluation.known import full_grid

FACTORS = full_grid(3, 3, repeats=40)

VARIANTS: tuple[Variant, ...] = ("exact", "fast")
PARTS = ("disentanglement", "completeness", "informativeness")


def score(codes: Any, factors: Any = FACTORS, variant: Variant = "exact") -> DCI:
    return dci(codes, factors, codes, factors, variant=variant, num_workers=1)


def reference_dci(case: str, arrays: dict[str, Any], variant: Variant) -> list[float | None]:
    result = dci(
        arrays[f"{case}/codes_train"],
        arrays["factors_train"],
        arrays[f"{case}/codes_test"],
        arrays["factors_test"],
        variant=variant,
    )
    return [getattr(result, part) for part in PARTS]


SLOW = pytest.mark.slow


@pytest.mark.timeout(900)  # a minute of two idle cores, many of busy ones
@pytest.mark.parametrize(
    "case",
    [
        pytest.param("identity", marks=SLOW),
        "rotated_45",
        pytest.param("duplicated", marks=SLOW),
        pytest.param("categorical_64", marks=SLOW),
        pytest.param("entangled", marks=SLOW),
        pytest.param("noise", marks=SLOW),
    ],
)
def test_exact_equals_the_reference(
    case: str, reference_arrays: dict[str, Any], reference_values: dict[str, Any]
) -> None:
    expected = [reference_values[case][f"dci_{part}"] for part in PARTS]
    assert reference_dci(case, reference_arrays, "exact") == pytest.approx(expected, abs=0.02)


def test_fast_stays_near_the_reference(
    case: str, reference_arrays: dict[str, Any], reference_values: dict[str, Any]
) -> None:
    expected = [reference_values[case][f"dci_{part}"] for part in PARTS]
    assert reference_dci(case, reference_arrays, "fast") == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("variant", VARIANTS)
def test_one_latent_a_factor_gives_1_throughout(variant: Variant) -> None:
    result = score(FACTORS, variant=variant)
    assert [getattr(result, part) for part in PARTS] == pytest.approx([1, 1, 1], abs=1e-6)


@pytest.mark.parametrize("variant", VARIANTS)
def test_permuted_latents_permute_the_importances(variant: Variant) -> None:
    result = score(FACTORS[:, ::-1], variant=variant)
    np.testing.assert_allclose(result.importances, [[0, 1], [1, 0]], atol=1e-6)


def test_duplicated_latents_are_disentangled_but_not_complete() -> None:
    result = score(np.hstack([FACTORS, FACTORS]))
    assert result.disentanglement == pytest.approx(1, abs=1e-6)
    assert result.completeness is not None
    assert result.completeness < 0.9


def test_a_latent_that_names_all_combinations_is_complete_but_not_disentangled() -> None:
    names = FACTORS @ [3, 1]
    result = score(np.stack([names, np.zeros_like(names)], axis=1))
    assert result.disentanglement == pytest.approx(0, abs=1e-6)
    assert result.completeness == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("variant", VARIANTS)
def test_constant_codes_give_0_and_the_accuracy_of_guessing(variant: Variant) -> None:
    result = score(np.zeros_like(FACTORS), variant=variant)
    assert (result.disentanglement, result.completeness) == (0.0, 0.0)
    assert result.informativeness == pytest.approx(1 / 3)


def test_one_factor_leaves_disentanglement_undefined_in_words() -> None:
    result = score(FACTORS, FACTORS[:, :1], "fast")
    assert result.disentanglement is None
    assert "there is one factor" in result.undefined["disentanglement"]
    assert result.completeness == pytest.approx(1, abs=1e-6)


def test_one_latent_leaves_completeness_undefined_in_words() -> None:
    result = score(FACTORS[:, :1], FACTORS, "fast")
    assert result.completeness is None
    assert "there is one latent" in result.undefined["completeness"]
    assert result.disentanglement is not None


def test_equal_seeds_give_equal_scores_whatever_the_workers() -> None:
    codes = FACTORS + np.random.default_rng(0).normal(size=FACTORS.shape)
    alone = dci(codes, FACTORS, codes, FACTORS, seed=1, num_workers=1)
    together = dci(codes, FACTORS, codes, FACTORS, seed=1, num_workers=2)
    np.testing.assert_array_equal(alone.importances, together.importances)


def test_workers_are_gone_afterwards() -> None:
    dci(FACTORS, FACTORS, FACTORS, FACTORS, num_workers=2)
    commands = [" ".join(child.cmdline()) for child in psutil.Process().children(recursive=True)]
    assert not [command for command in commands if "popen_loky" in command]


class Stopped(Exception):
    pass


@pytest.mark.parametrize("num_workers", [1, 2])
def test_results_come_in_the_order_of_the_calls(num_workers: int) -> None:
    calls = [(pow, (2, exponent)) for exponent in (3, 1, 2)]
    assert call_in_processes(calls, num_workers, lambda done, total: None) == [8, 2, 4]


@pytest.mark.parametrize("num_workers", [1, 2])
def test_progress_reaches_the_number_of_calls(num_workers: int) -> None:
    told: list[tuple[int, int]] = []
    call_in_processes([(abs, (-1,))] * 3, num_workers, lambda *counts: told.append(counts))
    assert told[0] == (0, 3)
    assert told[-1] == (3, 3)


@pytest.mark.parametrize("num_workers", [1, 2])
def test_an_error_of_a_call_comes_back(num_workers: int) -> None:
    with pytest.raises(ZeroDivisionError):
        call_in_processes([(divmod, (1, 0))] * 2, num_workers, lambda done, total: None)


def test_an_interruption_ends_calls_in_the_midst_of_their_work() -> None:
    def stop(done: int, total: int) -> None:
        if len(_workers()) == 2:
            raise Stopped

    started_at = time.monotonic()
    with pytest.raises(Stopped):
        call_in_processes([(time.sleep, (600,))] * 3, 2, stop)
    assert time.monotonic() - started_at < 300
    assert _workers() == []


def _workers() -> list[psutil.Process]:
    children = psutil.Process().children(recursive=True)
    return [child for child in children if "popen_loky" in " ".join(child.cmdline())]
