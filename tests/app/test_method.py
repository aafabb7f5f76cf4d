import re

import pytest
from streamlit.testing.v1 import AppTest

from dvae_core.runs.run import Run
from tests.app.conftest import OpenApp
from ui.method.sections import SECTIONS

PAGE = "pages/method.py"


def metric(app: AppTest, label: str) -> list[float]:
    return [float(m.value.split()[0].rstrip("%")) for m in app.metric if m.label == label]


def test_the_page_stands_without_any_run(open_app: OpenApp) -> None:
    app = open_app(PAGE)
    assert not app.exception
    assert not app.error
    assert len(app.subheader) == len(SECTIONS) + 1  # and the source


def test_with_a_run_the_page_stands_without_a_word_of_complaint(
    open_app: OpenApp, runs: dict[str, Run]
) -> None:
    app = open_app(PAGE)
    assert not app.exception
    assert [*app.error, *app.warning] == []
    assert "Neighbours differ by" in " ".join(caption.value for caption in app.caption)


def test_rotating_both_families_clips_the_grid_alone(open_app: OpenApp) -> None:
    app = open_app(PAGE)
    app.slider(key="method-angle").set_value(0).run()
    level = metric(app, "Mass clipped at the border")
    app.slider(key="method-angle").set_value(45).run()
    turned = metric(app, "Mass clipped at the border")
    assert level == [0.0, 0.0]
    assert turned[0] == 0.0
    assert turned[1] > 0.1


def test_the_contents_lead_to_every_section(open_app: OpenApp) -> None:
    app = open_app(PAGE)
    anchors = [heading.anchor for heading in app.subheader]
    (contents,) = [element.value for element in app.markdown if "](#" in element.value]
    assert re.findall(r"\(#([\w-]+)\)", contents) == anchors[: len(SECTIONS)] == list(SECTIONS)


def test_only_noise_draws_more_than_one_value(open_app: OpenApp) -> None:
    app = open_app(PAGE)
    app.slider(key="discrete-count").set_value(8).run()
    assert not app.exception
    (said,) = [c.value for c in app.caption if "draws take" in c.value]
    drawn = dict(re.findall(r"(\w+) (\d+)[,.]", said.partition(": ")[2]))
    assert drawn["QLAE"] == drawn["FSQ"] == "1"
    assert int(drawn["Categorical"]) > 1
    assert int(drawn["QVAE"]) > 1


def test_a_surer_encoder_says_more(open_app: OpenApp) -> None:
    app = open_app(PAGE)
    app.slider(key="width").set_value(0.5).run()
    unsure = metric(app, "KL from the prior")[:2]
    app.slider(key="width").set_value(0.05).run()
    sure = metric(app, "KL from the prior")[:2]
    assert sure[0] > unsure[0]
    assert sure[1] > unsure[1]


def test_between_two_places_lies_a_code_that_is_neither(open_app: OpenApp) -> None:
    app = open_app(PAGE)
    (expected,) = metric(app, "Expected code")
    (hard,) = metric(app, "Value of the most likely category")
    assert abs(expected - hard) > 0.3


def test_independent_latents_have_no_total_correlation(open_app: OpenApp) -> None:
    app = open_app(PAGE)
    assert metric(app, "Total correlation")[0] > 0.1
    app.slider(key="follows").set_value(0.0).run()
    assert metric(app, "Total correlation") == [0.0]


def test_fewer_values_lower_the_ceiling(open_app: OpenApp) -> None:
    app = open_app(PAGE)
    app.slider(key="cardinality").set_value(8).run()
    assert metric(app, "Its ceiling, ln K_j") == [2.079]
    assert metric(app, "KL from the uniform over K_j")[0] < 2.079


@pytest.mark.parametrize("sampling", ["soft", "straight_through"])
def test_without_noise_samples_do_not_differ(open_app: OpenApp, sampling: str) -> None:
    app = open_app(PAGE)
    app.button_group(key="sampling").set_value(sampling)
    app.slider(key="noise-scale").set_value(0.0).run()
    said = " ".join(caption.value for caption in app.caption)
    assert "Standard deviation of the samples 0.000" in said
