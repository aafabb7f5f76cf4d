import numpy as np
import torch

from dvae_core.analysis.embedding import Embedding
from dvae_core.analysis.latent_data import latent_data
from dvae_core.analysis.path import LatentPath
from dvae_core.figures.latent_data import (
    category_bars,
    embedding_scatter,
    factor_given_category,
    path_curve,
)
from tests.analysis.made import made_set

CATEGORICAL = made_set(
    np.zeros((4, 1)),
    factors=[[0], [1], [1], [1]],
    names=["<b>hue"],
    categories=[[0], [0], [2], [2]],
    counts=[3],
)


def test_bars_are_shares_and_empty_categories_are_marked() -> None:
    bars, empty = category_bars(latent_data(CATEGORICAL, 0)).data
    assert list(bars.y) == [0.5, 0, 0.5]
    assert list(bars.customdata) == [2, 0, 2]
    assert bars.text[2] == "category 2"
    assert list(empty.x) == [1]


def test_bins_are_named_by_their_ranges() -> None:
    figure = category_bars(latent_data(made_set([[0.0], [1.0], [4.0]]), 0, num_bins=2))
    assert list(figure.data[0].text) == ["bin 0, 0.00 to 2.00", "bin 1, 2.00 to 4.00"]
    assert len(figure.data) == 1
    assert figure.layout.xaxis.title.text == "bin of latent 0"


def test_columns_of_the_heat_map_are_distributions() -> None:
    figure = factor_given_category(latent_data(CATEGORICAL, 0), 0)
    np.testing.assert_array_equal(figure.data[0].z, [[0.5, np.nan, 0], [0.5, np.nan, 1]])
    assert figure.layout.yaxis.title.text == "&#60;b&#62;hue"


def test_points_know_their_rows() -> None:
    points = np.array([[0.0, 1.0], [2.0, 3.0]])
    embedding = Embedding("principal components", points, np.array([0.75, 0.2]))
    figure = embedding_scatter(embedding, np.array([4, 5]), label="100%{x}", numbers=[7, 1234])
    trace = figure.data[0]
    assert list(trace.customdata) == [0, 1]
    assert list(trace.text) == [7, 1234]
    assert list(trace.marker.color) == [4, 5]
    assert "%{x}" not in trace.hovertemplate
    assert figure.layout.xaxis.title.text == "principal components 1 (75%)"
    plain = embedding_scatter(Embedding("UMAP", points, None))
    assert plain.layout.yaxis.title.text == "UMAP 2"
    assert not plain.data[0].marker.showscale
    assert len(plain.data) == 1


def test_points_outside_a_slice_are_grey_and_colours_keep_their_meaning() -> None:
    points = np.arange(8.0).reshape(4, 2)
    embedding = Embedding("latents", points, None, ("latent 3", "latent 5"))
    mask = np.array([False, True, True, False])
    figure = embedding_scatter(embedding, np.arange(4), mask=mask, start=3, near=[0, 2])
    outside, inside, near, start = figure.data
    assert list(outside.customdata) == [0, 3]
    assert list(inside.customdata) == [1, 2]
    assert (inside.marker.cmin, inside.marker.cmax) == (0, 3)
    assert list(near.customdata) == [0, 2]
    assert list(start.x) == [6]
    assert figure.layout.xaxis.title.text == "latent 3"


def test_steps_of_a_path_are_named_by_their_latents() -> None:
    path = LatentPath(
        torch.zeros(3, 2), np.array([1, 0]), np.array([0.5, 0.1, 0.0]), torch.zeros(3, 1, 2, 2)
    )
    figure = path_curve(path)
    assert list(figure.data[0].text) == ["start", "latent 1", "latent 0"]
    assert list(figure.data[0].y) == [0.5, 0.1, 0]
    assert not figure.layout.showlegend


def test_the_straight_way_stands_beside_a_path_over_the_same_length() -> None:
    path = LatentPath(
        torch.zeros(3, 3), np.array([1, -1]), np.array([0.5, 0.1, 0.0]), torch.zeros(3, 1, 2, 2)
    )
    figure = path_curve(path, np.array([0.5, 0.6, 0.2, 0.1, 0.0]))
    assert list(figure.data[0].text) == ["start", "latent 1", "all others"]
    assert list(figure.layout.xaxis.ticktext) == ["start", "1", "others"]
    assert list(figure.data[1].x) == [0, 0.5, 1, 1.5, 2]
    assert figure.layout.showlegend
