from itertools import combinations
from math import exp, log, nan, sqrt

import numpy as np
import pytest
import torch

from dvae_core.analysis import latent_data as module
from dvae_core.analysis.encoded import EncodedSet, encode_set, images_of
from dvae_core.analysis.latent_data import category_images, counterfactual_pair, latent_data
from dvae_core.config import ModelConfig
from dvae_core.data.procedural.circles import Circles, ContinuousCircles
from dvae_core.errors import EvaluationError
from dvae_core.evaluation.information import mutual_information_matrix
from dvae_core.models.vae import VAE, build_model
from tests.analysis.made import made_set, random_set

# Four images in category 0, two in 2, none in 1 and 3; factor 0 follows the category, 1 does not.
CATEGORIES = np.array([0, 0, 0, 0, 2, 2])
FACTORS = np.array([[0, 0], [0, 1], [0, 0], [1, 1], [2, 0], [2, 1]])


def small_set(**changes: object) -> EncodedSet:
    settings: dict[str, object] = {
        "factors": FACTORS,
        "names": ("wall hue", "x"),
        "categories": CATEGORIES[:, None],
        "probabilities": [[0.5], [0.9], [0.7], [0.7], [0.4], [0.6]],
        "counts": [4],
        "kl": [[0.0], [0.1], [0.2], [0.3], [0.0], [0.0]],
    }
    return made_set(np.zeros((6, 1)), **(settings | changes))  # type: ignore[arg-type]


def test_categories_are_counted() -> None:
    data = latent_data(small_set(), 0)
    assert data.edges is None
    assert data.counts.tolist() == [4, 0, 2, 0]
    assert data.never_visited == [1, 3]
    # The entropy of shares 2/3 and 1/3.
    entropy = 2 / 3 * log(3 / 2) + 1 / 3 * log(3)
    assert data.effective_categories == pytest.approx(exp(entropy))
    assert data.mean_kl == pytest.approx(0.1)
    assert data.active
    assert not latent_data(small_set(kl=0.05 - 1e-6), 0).active


def test_the_most_probable_images_are_typical_and_ties_keep_their_order() -> None:
    data = latent_data(small_set(), 0, examples=3)
    assert [rows.tolist() for rows in data.typical] == [[1, 2, 3], [], [5, 4], []]


def test_examples_are_drawn_at_random_from_their_category() -> None:
    encoded = random_set(400, 2)
    assert encoded.categories is not None
    data = latent_data(encoded, 1, examples=7, seed=1)
    for category, rows in enumerate(data.examples):
        assert len(set(rows.tolist())) == 7
        assert (encoded.categories[rows, 1] == category).all()
    assert [rows.tolist() for rows in latent_data(encoded, 1, examples=7, seed=1).examples] == [
        rows.tolist() for rows in data.examples
    ]
    other = latent_data(encoded, 1, examples=7, seed=2).examples
    assert any(set(rows) != set(more) for rows, more in zip(data.examples, other, strict=True))


def test_factors_are_counted_in_each_category() -> None:
    data = latent_data(small_set(), 0)
    assert data.factor_counts[0].tolist() == [[3, 1, 0], [0, 0, 0], [0, 0, 2], [0, 0, 0]]
    assert data.factor_counts[1].tolist() == [[2, 2], [0, 0], [1, 1], [0, 0]]
    in_first = 0.75 * log(4 / 3) + 0.25 * log(4)
    np.testing.assert_allclose(
        data.conditional_entropy, [[in_first, log(2)], [nan, nan], [0.0, log(2)], [nan, nan]]
    )
    whole = 0.5 * log(2) + 1 / 6 * log(6) + 1 / 3 * log(3)
    np.testing.assert_allclose(data.factor_entropy, [whole, log(2)])


def test_information_is_that_of_the_project_and_names_the_latent() -> None:
    draw = np.random.default_rng(0)
    hue = draw.integers(0, 5, 2_000)
    factors = np.stack([draw.integers(0, 3, 2_000), hue], 1)
    encoded = made_set(
        np.zeros((2_000, 1)),
        factors=factors,
        names=("x", "wall hue"),
        categories=hue[:, None],
        counts=[5],
    )
    data = latent_data(encoded, 0)
    expected = mutual_information_matrix(hue[:, None], factors, None, "miller_madow")[0]
    np.testing.assert_allclose(data.information, expected)
    np.testing.assert_allclose(data.shares, expected / data.factor_entropy)
    assert data.suggested_name == "wall hue, 100 %"
    assert data.undefined == ("", "")


@pytest.mark.parametrize(("kept", "name"), [(0.9, "shape, 82 %"), (0.5, "")])
def test_a_latent_is_named_from_half_of_the_entropy_on(kept: float, name: str) -> None:
    draw = np.random.default_rng(0)
    shape = draw.integers(0, 8, 50_000)
    noisy = np.where(draw.random(50_000) < kept, shape, draw.integers(0, 8, 50_000))
    encoded = made_set(
        np.zeros((50_000, 1)),
        factors=shape[:, None],
        names=["shape"],
        categories=noisy[:, None],
        counts=[8],
    )
    # Of the 8 values, one has the probability kept + (1 - kept) / 8, the others (1 - kept) / 8.
    other = (1 - kept) / 8
    share = 1 + ((kept + other) * log(kept + other) + 7 * other * log(other)) / log(8)
    data = latent_data(encoded, 0)
    assert data.shares[0] == pytest.approx(share, abs=0.01)
    assert data.suggested_name == name.replace("82", f"{share * 100:.0f}")


def test_a_factor_that_numbers_the_images_has_no_information() -> None:
    factors = np.stack([np.arange(6), FACTORS[:, 1]], 1)
    data = latent_data(small_set(factors=factors), 0)
    assert np.isnan(data.information[0])
    assert "different categories" in data.undefined[0]
    assert data.undefined[1] == ""
    assert np.isfinite(data.information[1])


def test_without_factors_a_latent_has_no_name() -> None:
    data = latent_data(small_set(factors=None, names=()), 0)
    assert data.factor_counts == ()
    assert data.conditional_entropy.shape == (4, 0)
    assert data.suggested_name == ""


def test_gaussian_codes_are_counted_in_equal_bins() -> None:
    # Bins of width 1 from 0 to 4; the greatest code is in the last.
    codes = np.array([0.0, 0.5, 0.9, 1.0, 3.4, 4.0])[:, None]
    deviations = np.array([5.0, 1.0, 0.1, 1.0, 0.1, 1.0])[:, None]
    data = latent_data(made_set(codes, deviations=deviations), 0, num_bins=4)
    assert data.edges is not None
    np.testing.assert_allclose(data.edges, [0, 1, 2, 3, 4])
    assert data.category.tolist() == [0, 0, 0, 1, 3, 3]
    assert data.counts.tolist() == [3, 1, 0, 2]
    # |code - 0.5| / deviation: 0.1, 0, 4; and |code - 3.5| / deviation: 1, 0.5.
    assert [rows.tolist() for rows in data.typical] == [[1, 0, 2], [3], [], [5, 4]]


def test_a_constant_gaussian_latent_has_one_bin_in_use() -> None:
    data = latent_data(made_set(np.full((5, 1), 3.25)), 0, num_bins=4)
    assert np.count_nonzero(data.counts) == 1
    assert data.effective_categories == 1


def test_numbers_out_of_range_are_refused() -> None:
    for latent in (-1, 1):
        with pytest.raises(EvaluationError, match=f"no latent {latent}"):
            latent_data(small_set(), latent)
    with pytest.raises(EvaluationError, match="num_bins is 1"):
        latent_data(small_set(), 0, num_bins=1)


@pytest.fixture(scope="module")
def model() -> VAE:
    config = ModelConfig(num_latents=2, num_categories=4)
    return build_model(config, (1, 32, 32), torch.Generator().manual_seed(1)).eval()


@pytest.mark.parametrize("noisy", [False, True])
def test_mean_images_are_those_of_a_loop(model: VAE, noisy: bool) -> None:
    dataset = ContinuousCircles(32) if noisy else Circles(32)
    encoded = encode_set(model, dataset, 300)
    data = latent_data(encoded, 0)
    found = category_images(dataset, encoded, data)
    for category, count in enumerate(data.counts):
        rows = np.flatnonzero(data.category == category)
        assert found.counts[category] == count == len(rows)
        if not count:
            assert np.isnan(found.mean[category]).all()
            assert np.isnan(found.deviation[category]).all()
            continue
        images = images_of(dataset, encoded, rows).numpy().astype(np.float64)
        np.testing.assert_allclose(found.mean[category], images.mean(0), atol=1e-6)
        np.testing.assert_allclose(found.deviation[category], images.std(0), atol=1e-6)


def test_mean_images_of_some_categories(model: VAE, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = Circles(32)
    encoded = encode_set(model, dataset, 200)
    data = latent_data(encoded, 1)
    whole = category_images(dataset, encoded, data)
    some = category_images(dataset, encoded, data, [3, 1])
    assert some.categories.tolist() == [3, 1]
    np.testing.assert_array_equal(some.mean, whole.mean[[3, 1]])
    with pytest.raises(EvaluationError, match=r"categories are \[4\]"):
        category_images(dataset, encoded, data, [4])
    monkeypatch.setattr(module, "MAX_IMAGE_BYTES", 2 * 2 * 8 * 32 * 32)
    assert category_images(dataset, encoded, data, [0, 1]).mean.shape == (2, 1, 32, 32)
    with pytest.raises(EvaluationError, match="choose at most 2"):
        category_images(dataset, encoded, data)


def pair_by_loop(encoded: EncodedSet, latent: int) -> tuple[float, tuple[int, int]]:
    """Greatest difference minus distance over all pairs, one pair at a time."""
    spread = [float(np.std(column.astype(float))) for column in encoded.codes.T]
    active = [float(np.mean(column.astype(float))) > 0.05 for column in encoded.kl.T]
    best = (-np.inf, (-1, -1))
    for a, b in combinations(range(len(encoded)), 2):
        squares = 0.0
        for other in range(encoded.num_latents):
            if other != latent and active[other] and spread[other] > 0:
                change = float(encoded.codes[a, other]) - float(encoded.codes[b, other])
                squares += (change / spread[other]) ** 2
        own = abs(float(encoded.codes[a, latent]) - float(encoded.codes[b, latent]))
        score = own / spread[latent] - sqrt(squares)
        if score > best[0]:
            best = (score, (a, b))
    return best


@pytest.mark.parametrize("block", [7, 512])
@pytest.mark.parametrize("latent", [0, 2])
def test_the_counterfactual_pair_is_that_of_a_loop(
    latent: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAIR_ROWS", block)
    draw = np.random.default_rng(0)
    codes = draw.normal(size=(60, 4)) * [1, 5, 0.1, 1]
    encoded = made_set(codes, kl=[1.0, 1.0, 1.0, 0.01])  # the last latent is dead
    score, rows = pair_by_loop(encoded, latent)
    found = counterfactual_pair(encoded, latent)
    assert found.rows == rows
    assert found.difference - found.distance == pytest.approx(score)
    assert found.num_compared == 60


def test_an_image_is_no_pair_with_itself() -> None:
    # Every pair is farther apart in the other three latents than in the first.
    codes = [[0.0, 1, 0, 0], [1.0, 0, 1, 0], [0.5, 0, 0, 1]]
    found = counterfactual_pair(made_set(codes), 0)
    assert found.difference < found.distance
    assert found.rows == pair_by_loop(made_set(codes), 0)[1] == (0, 1)


def test_of_equal_pairs_the_first_is_taken() -> None:
    codes = [[0.0, 0.0], [1.0, 0.0], [0.0, 2.0], [1.0, 2.0]]
    found = counterfactual_pair(made_set(codes), 0)
    assert found.rows == (0, 1)
    assert (found.difference, found.distance) == (2.0, 0.0)  # the spread is one half


def test_a_large_set_is_sampled() -> None:
    encoded = random_set(300, 3)
    found = counterfactual_pair(encoded, 1, max_compared=40, seed=5)
    assert found.num_compared == 40
    assert found == counterfactual_pair(encoded, 1, max_compared=40, seed=5)
    assert found.rows != counterfactual_pair(encoded, 1, max_compared=40, seed=6).rows
    exact = counterfactual_pair(encoded, 1)
    assert found.difference - found.distance <= exact.difference - exact.distance
    a, b = found.rows
    own = abs(float(encoded.codes[a, 1]) - float(encoded.codes[b, 1])) / encoded.spread[1]
    assert found.difference == pytest.approx(own)


def test_one_latent_alone_gives_the_extremes() -> None:
    found = counterfactual_pair(made_set([[0.5], [-1.0], [3.0], [0.0]]), 0)
    assert found.rows == (1, 2)
    assert found.distance == 0


def test_a_pair_that_cannot_exist_is_refused() -> None:
    with pytest.raises(EvaluationError, match="same code for all 3 images"):
        counterfactual_pair(made_set([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]), 0)
    with pytest.raises(EvaluationError, match="there are 1 to compare"):
        counterfactual_pair(made_set([[1.0]]), 0)
    with pytest.raises(EvaluationError, match="there are 0 to compare"):
        counterfactual_pair(made_set([[1.0], [2.0]]), 0, max_compared=-1)
