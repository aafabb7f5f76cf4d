import numpy as np
import pytest
import torch
from torch import Tensor

from dvae_core.data import load_dataset
from dvae_core.errors import EvaluationError
from dvae_core.evaluation.representation import (
    EncodedCodes,
    LookedUpCodes,
    code_source,
    encode_dataset,
    encode_points,
)
from tests.evaluation.known import CategoricalModel, GaussianModel, Plain


class Diagonal(Plain):
    """A set in which only equal factors are combined."""

    def __len__(self) -> int:
        return self.factor_sizes[0]

    def factors_at(self, indices: Tensor) -> Tensor:
        return torch.stack([indices, indices], dim=1)


class Unlabelled(Plain):
    """Images without factors."""

    def __init__(self) -> None:
        super().__init__()
        self.image_shape = (1, 1, 3)

    def sample_points(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        images = torch.rand(count, 1, 1, 3, generator=generator)
        return torch.empty(count, 0, dtype=torch.int64), images


def test_codes_belong_to_the_factors_beside_them() -> None:
    encoded = encode_points(GaussianModel(), Plain(3, 5), 300, seed=0)
    np.testing.assert_allclose(encoded.codes, encoded.factors / [2, 4], rtol=1e-6)


def test_categorical_codes_come_as_mean_as_mode_and_as_category() -> None:
    encoded = encode_points(CategoricalModel(5, share=0.9), Plain(5), 50, seed=0)
    assert encoded.categories is not None
    np.testing.assert_array_equal(encoded.categories, encoded.factors)
    np.testing.assert_allclose(encoded.mode_codes, encoded.factors / 2 - 1, atol=1e-6)
    # 0.9 of the most likely value, and 0.025 of each of the others, which sum to its opposite.
    np.testing.assert_allclose(encoded.codes, 0.875 * encoded.mode_codes, atol=1e-6)


def test_gaussian_codes_have_no_categories() -> None:
    encoded = encode_points(GaussianModel(), Plain(5), 50, seed=0)
    assert encoded.categories is None
    np.testing.assert_array_equal(encoded.mode_codes, encoded.codes)


def test_the_seed_decides_points_and_noise() -> None:
    def codes(seed: int) -> np.ndarray:
        return encode_points(GaussianModel(), Plain(3, 5, noise=0.1), 300, seed).codes

    np.testing.assert_array_equal(codes(1), codes(1))
    assert not np.array_equal(codes(1), codes(2))


def test_a_set_without_factors_gives_codes_all_the_same() -> None:
    encoded = encode_points(GaussianModel(), Unlabelled(), 200, seed=0)
    assert encoded.codes.shape == (200, 3)
    assert encoded.factors.shape == (200, 0)


def test_progress_ends_at_the_number_of_points() -> None:
    told: list[tuple[int, int]] = []
    encode_points(GaussianModel(), Plain(3), 300, 0, lambda *counts: told.append(counts))
    assert told[0] == (0, 300)
    assert told[-1] == (300, 300)


@pytest.mark.parametrize("dataset", [Plain(3, 1, 5), Diagonal(4, 4)])
def test_looked_up_codes_are_those_of_the_image(dataset: Plain) -> None:
    source = encode_dataset(GaussianModel(), dataset)
    factors = dataset.factors_at(torch.arange(len(dataset)).flip(0))
    expected = EncodedCodes(GaussianModel(), dataset, seed=0).codes_of(factors)
    np.testing.assert_array_equal(source.codes_of(factors), expected)


def test_looked_up_codes_can_be_those_of_the_mode() -> None:
    source = encode_dataset(CategoricalModel(5, share=0.5), Plain(5), kind="mode")
    np.testing.assert_allclose(source.codes_of(torch.tensor([[4]])), [[1.0]])


def test_a_real_set_is_looked_up_in_its_own_order() -> None:
    circles = load_dataset("circles", image_size=32)
    centre = GaussianModel(lambda pixels: pixels)

    class Centre(GaussianModel):
        def encode(self, images: Tensor):  # type: ignore[no-untyped-def]
            light = images[:, 0]  # (B, H, W)
            x = (light.sum(1) * torch.arange(32.0)).sum(1) / light.sum((1, 2))
            y = (light.sum(2) * torch.arange(32.0)).sum(1) / light.sum((1, 2))
            return centre.encode(torch.stack([x, y], dim=1)[:, None, None, :])

    codes = encode_dataset(Centre(), circles).codes_of(torch.tensor([[0, 31], [31, 0]]))
    assert (np.diff(codes, axis=1) * [[1], [-1]] > 10).all()


def test_a_small_set_is_encoded_once() -> None:
    dataset = Plain(3, 5)
    source = code_source(GaussianModel(), dataset, num_draws=1_000, seed=0)
    source.codes_of(torch.zeros(1_000, 2, dtype=torch.int64))
    assert isinstance(source, LookedUpCodes)
    assert dataset.images_drawn == 15


@pytest.mark.parametrize("dataset", [Plain(30, 50), Plain(3, noise=0.1)])
def test_a_large_or_noisy_set_is_encoded_draw_by_draw(dataset: Plain) -> None:
    source = code_source(GaussianModel(), dataset, num_draws=1_000, seed=0)
    assert isinstance(source, EncodedCodes)


def test_a_noisy_set_has_no_one_code_an_image() -> None:
    with pytest.raises(EvaluationError, match="plain hold noise"):
        encode_dataset(GaussianModel(), Plain(3, noise=0.1))


def test_noise_differs_between_draws_of_the_same_factors() -> None:
    source = EncodedCodes(GaussianModel(), Plain(3, noise=0.1), seed=0)
    first, second = source.codes_of(torch.zeros(2, 1, dtype=torch.int64))
    assert first != second


def test_codes_that_are_not_finite_are_refused() -> None:
    broken = GaussianModel(lambda pixels: pixels / 0)
    for encode in (
        lambda: encode_points(broken, Plain(3), 10, 0),
        lambda: encode_dataset(broken, Plain(3)),
    ):
        with pytest.raises(EvaluationError, match="not finite"):
            encode()
