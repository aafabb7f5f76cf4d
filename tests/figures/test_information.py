import ast
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from dvae_core.figures.information import (
    heatmap_width,
    information_heatmap,
    latent_information_heatmap,
)
from dvae_core.figures.style import TEMPLATE, shortened
from dvae_core.runs.names import LatentName, LatentNames

ROOT = Path(__file__).parents[2]

INFORMATION = np.array([[0.1, 0.9, 0.0], [0.7, 0.2, 0.3]])
NAMES = ("shape", "x", "y")


def test_the_heat_map_shows_the_latents_in_the_order_asked_for() -> None:
    figure = information_heatmap(INFORMATION, NAMES, [1, 0], unit="nats")
    heatmap = figure.data[0]
    assert list(heatmap.y) == ["latent 1", "latent 0"]
    np.testing.assert_array_equal(np.array(heatmap.z), INFORMATION[[1, 0]])


def test_every_factor_has_its_name_on_the_axis_however_many_there_are() -> None:
    names = ("10", "<b>", *(f"attribute {number}" for number in range(37)), "long " * 12)
    figure = information_heatmap(np.zeros((3, 40)), names, range(3), unit="nats")
    axis = figure.layout.xaxis
    assert (axis.type, axis.tickmode) == ("category", "array")
    assert [unescape(text) for text in axis.ticktext] == [shortened(name) for name in names]
    assert list(axis.tickvals) == list(figure.data[0].x)


def test_a_latent_has_the_name_that_people_gave_it_shortened_on_the_axis() -> None:
    long = "<b>" + "x" * 40
    when = datetime(2026, 11, 27, tzinfo=UTC)
    names = LatentNames(entries=(LatentName(latent=1, name=long, written_at=when),))
    figure = information_heatmap(INFORMATION, NAMES, [1, 0], unit="nats", latent_names=names)
    ticks = [unescape(text) for text in figure.layout.yaxis.ticktext]
    assert ticks == ["1 · " + long[:23] + "…", "latent 0"]
    assert "<b>" not in figure.to_json().replace("\\u003c", "<")
    assert unescape(figure.data[1].hovertemplate[0]).startswith(f"latent 1 · {long}, ")
    between = latent_information_heatmap(np.eye(2), [1, 0], latent_names=names)
    assert between.layout.xaxis.ticktext == figure.layout.yaxis.ticktext
    assert heatmap_width(5, latent_names=names) > heatmap_width(5) + 100


def test_many_factors_need_a_wider_heat_map() -> None:
    assert heatmap_width(5, 2) < 400
    assert heatmap_width(40) > 12 * 40


def test_each_cell_has_a_marker_that_knows_latent_and_factor() -> None:
    figure = information_heatmap(INFORMATION, NAMES, [1, 0], unit="nats")
    markers = figure.data[1]
    assert len(markers.x) == 6
    for x, y, (latent, factor), text in zip(
        markers.x, markers.y, markers.customdata, markers.hovertext, strict=True
    ):
        assert x == NAMES[factor]
        assert y == f"latent {latent}"
        assert text == f"{INFORMATION[latent, factor]:.3f} nats"


def test_kl_is_drawn_beside_the_latents_in_their_order() -> None:
    figure = information_heatmap(
        INFORMATION, NAMES, [1, 0], unit="nats", bars={"KL, nats": np.array([0.5, 2.0])}
    )
    assert list(figure.data[2].x) == [2.0, 0.5]


def test_the_marked_cell_is_framed() -> None:
    figure = information_heatmap(INFORMATION, NAMES, [1, 0], unit="nats", marked=(0, 2))
    frame = figure.layout.shapes[0]
    assert frame.x0 < 2 < frame.x1
    assert frame.y0 < 1 < frame.y1


def test_entropies_on_the_diagonal_are_left_out() -> None:
    figure = latent_information_heatmap(np.array([[3.0, 0.2], [0.2, 2.0]]), [1, 0])
    shown = np.array(figure.data[0].z)
    assert np.isnan(np.diag(shown)).all()
    assert shown[0, 1] == 0.2


@pytest.mark.parametrize(
    "path",
    [f for f in sorted((ROOT / "dvae_core/figures").glob("*.py")) if "go.Figure(" in f.read_text()],
    ids=lambda p: p.name,
)
def test_every_figure_is_given_the_look_of_the_pages(path: Path) -> None:
    functions = [
        node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)
    ]
    makers = {}
    for function in functions:
        calls = [ast.unparse(node) for node in ast.walk(function) if isinstance(node, ast.Call)]
        if any(call.startswith(("go.Figure(", "make_subplots(")) for call in calls):
            makers[function.name] = any(call.startswith("styled(") for call in calls)
    assert makers
    assert all(makers.values()), makers


def test_that_look_is_the_light_theme_of_the_app() -> None:
    theme = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())["theme"]["light"]
    layout = TEMPLATE.layout
    assert layout.paper_bgcolor == layout.plot_bgcolor == theme["backgroundColor"]
    assert layout.font.color == layout.hoverlabel.font.color == theme["textColor"]
    assert layout.yaxis.gridcolor == layout.hoverlabel.bordercolor == theme["borderColor"]


def test_a_figure_has_that_look_without_streamlit() -> None:
    program = (
        "import sys, numpy, plotly.io, dvae_core\n"
        "figure = dvae_core.information_heatmap(numpy.eye(2), 'ab', [0, 1], unit='nats')\n"
        "print('streamlit' in sys.modules, plotly.io.templates.default)\n"
        "print(figure.to_dict()['layout']['template']['layout']['paper_bgcolor'])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    assert shown.split() == ["False", "plotly", TEMPLATE.layout.paper_bgcolor]
