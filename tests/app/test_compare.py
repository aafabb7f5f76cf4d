import shutil
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dvae_core.analysis.axis_angles import FactorPlane, axis_angles
from dvae_core.config import RunConfig
from dvae_core.data.imported.dataset import import_images
from dvae_core.data.imported.options import ImportOptions
from dvae_core.evaluation.results import Evaluation, Score
from dvae_core.runs.run import Run
from dvae_core.training.trainer import train
from tests.app.conftest import OpenApp
from tests.selection.planted import changed
from ui.compare.planes import verdict

PAGE = "pages/compare.py"


def notes(app: AppTest) -> str:
    said = [*app.info, *app.warning, *app.error, *app.caption, *app.markdown]
    return " ".join(element.value for element in said).replace("\\", "")


def metrics(app: AppTest, label: str) -> list[str]:
    """Values of both sides, left first."""
    return [metric.value for metric in app.metric if metric.label == label]


def losses(app: AppTest) -> list[str]:
    return [text.value for text in app.markdown if text.value.startswith("Reconstruction loss")]


def write_mig(run: Run, value: float) -> None:
    score = Score(
        metric="mig",
        name="mig",
        protocol="paper",
        points=10_000,
        test_points=0,
        seed=0,
        step=12,
        estimator="mean codes, 20 bins",
        seconds=1.0,
        value=value,
    )
    run.write_evaluation(Evaluation(scores=[score]).model_dump())


def add_seeds(own_folders: Path, run: Run, mig: float, **changes: float) -> None:
    """Three copies of a run in one folder, with other seeds and changed settings."""
    for seed in range(3):
        copy = own_folders / "runs" / "study" / f"{run.id}-{seed}"
        other = Run(shutil.copytree(run.path, copy))
        other.replace_record(other.record.model_copy(update={"seed": seed, **changes}))
        write_mig(other, mig + 0.01 * seed)


def test_without_runs_the_page_says_how_to_get_two(open_app: OpenApp) -> None:
    app = open_app(PAGE)
    assert not app.exception
    assert "--latents gaussian" in app.code[0].value
    assert "--latents categorical" in app.code[0].value


def test_gaussian_stands_beside_categorical_without_a_word_of_complaint(
    open_app: OpenApp, runs: dict[str, Run]
) -> None:
    app = open_app(PAGE)
    assert not app.exception
    assert [*app.error, *app.warning, *app.info] == []
    assert app.sidebar.selectbox(key="run-choice").value == "runs/smooth"
    assert app.sidebar.selectbox(key="compare-right").value == "checkpoints/discrete"
    assert len(losses(app)) == 2


def test_both_begin_at_the_same_image(open_app: OpenApp, runs: dict[str, Run]) -> None:
    app = open_app(PAGE)
    before = losses(app)
    app.sidebar.slider[0].set_value(3).run()
    assert not app.exception
    assert all(a != b for a, b in zip(before, losses(app), strict=True))


def test_a_sample_of_the_left_prior_is_an_image_for_the_right(
    open_app: OpenApp, runs: dict[str, Run]
) -> None:
    app = open_app(PAGE)
    app.button_group(key="compare-start-kind").set_value("prior").run()
    assert not app.exception
    assert not app.error
    assert len(losses(app)) == 1


@pytest.mark.parametrize("match", ["quantile", "factor"])
def test_partners_can_meet_by_quantile_and_by_factor(
    open_app: OpenApp, runs: dict[str, Run], match: str
) -> None:
    app = open_app(PAGE)
    app.sidebar.selectbox(key="match").set_value(match).run()
    assert not app.exception
    assert "both encode x" in app.sidebar.toggle[0].help


def test_turning_a_made_grid_costs_and_turning_a_made_normal_does_not(
    open_app: OpenApp, runs: dict[str, Run]
) -> None:
    app = open_app(PAGE, part="rotation")
    app.button_group(key="turned-mass").set_value("made").run()
    before = [float(value) for value in metrics(app, "KL of the mass, nats")]
    app.slider(key="angle").set_value(30).run()
    after = [float(value) for value in metrics(app, "KL of the mass, nats")]
    assert before[0] > 0
    assert after[0] == pytest.approx(before[0], rel=0.01)
    assert after[1] > before[1] + 0.1


@pytest.mark.parametrize("mass", ["aggregate", "image", "made"])
@pytest.mark.parametrize("angle", [0, 45, 90])
def test_every_mass_can_be_turned(
    open_app: OpenApp, runs: dict[str, Run], mass: str, angle: int
) -> None:
    app = open_app(PAGE, part="rotation")
    app.button_group(key="turned-mass").set_value(mass)
    app.slider(key="angle").set_value(angle).run()
    assert not app.exception
    assert not app.error


def test_runs_of_one_family_can_be_compared(
    open_app: OpenApp, runs: dict[str, Run], own_folders: Path, tiny_config: RunConfig
) -> None:
    other = Run.create(own_folders / "runs" / "other", tiny_config, (1, 32, 32))
    train(other)
    app = open_app(PAGE)
    app.sidebar.selectbox(key="run-choice").set_value("runs/other").run()
    right = next(box for box in app.sidebar.selectbox if box.label == "Right")
    right.set_value("checkpoints/discrete").run()
    assert not app.exception
    assert not app.error


def test_the_left_run_is_not_offered_on_the_right(open_app: OpenApp, runs: dict[str, Run]) -> None:
    app = open_app(PAGE)
    app.sidebar.selectbox(key="run-choice").set_value("checkpoints/discrete").run()
    assert not app.exception
    right = next(box for box in app.sidebar.selectbox if box.label == "Right")
    assert right.options == ["smooth"]


def test_runs_on_different_data_are_said_to_be(open_app: OpenApp, runs: dict[str, Run]) -> None:
    path = runs["checkpoints/discrete"].path / "config.json"
    path.write_text(path.read_text().replace('"circles"', '"sprites"'))
    app = open_app(PAGE)
    assert not app.exception
    assert "circles and sprites" in app.warning[0].value.replace("\\", "")


def test_a_second_run_of_another_shape_is_replaced_and_that_is_said(
    open_app: OpenApp, runs: dict[str, Run], own_folders: Path, tiny_config: RunConfig
) -> None:
    train(
        Run.create(own_folders / "runs" / "big", changed(tiny_config, image_size=64), (1, 64, 64))
    )
    app = open_app(PAGE, run="runs/smooth", second="runs/big")
    assert not app.exception
    assert "big has images of another shape than smooth" in notes(app)
    assert app.query_params["second"] == "checkpoints/discrete"


def test_a_run_without_a_partner_is_said(open_app: OpenApp, runs: dict[str, Run]) -> None:
    (runs["runs/smooth"].path / "config.json").write_text("{")
    app = open_app(PAGE)
    assert not app.exception
    assert "Nothing to compare yet" in notes(app)


def test_weights_that_cannot_be_read_are_an_error_box(
    open_app: OpenApp, runs: dict[str, Run]
) -> None:
    path = runs["checkpoints/discrete"].path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    app = open_app(PAGE)
    assert not app.exception
    assert "is damaged" in app.error[0].value


def test_without_seeds_a_difference_is_given_to_nobody(
    open_app: OpenApp, runs: dict[str, Run]
) -> None:
    write_mig(runs["runs/smooth"], 0.1)
    write_mig(runs["checkpoints/discrete"], 0.9)
    app = open_app(PAGE)
    assert not app.exception
    assert "without several seeds, a difference says nothing" in notes(app)
    row = app.dataframe[0].value.iloc[0]
    assert row["right − left"] == "+0.800"
    assert "verdict" not in row


def test_seeds_show_three_of_each_family_and_judge_the_difference(
    open_app: OpenApp, runs: dict[str, Run], own_folders: Path
) -> None:
    add_seeds(own_folders, runs["runs/smooth"], 0.1)
    add_seeds(own_folders, runs["checkpoints/discrete"], 0.7)
    write_mig(runs["runs/smooth"], 0.1)
    write_mig(runs["checkpoints/discrete"], 0.9)
    app = open_app(PAGE)
    assert not app.exception
    assert not app.error
    assert app.dataframe[0].value.iloc[0]["verdict"] == "right is ahead"
    seeds = open_app(PAGE, part="seeds")
    assert not seeds.exception
    assert "3 like smooth and 3 like discrete (shipped)" in notes(seeds).replace("\\", "")


def test_seeds_of_other_settings_judge_nothing(
    open_app: OpenApp, runs: dict[str, Run], own_folders: Path
) -> None:
    for run in (runs["runs/smooth"], runs["checkpoints/discrete"]):
        add_seeds(own_folders, run, 0.1, learning_rate=0.5)
    write_mig(runs["runs/smooth"], 0.1)
    write_mig(runs["checkpoints/discrete"], 0.9)
    assert "verdict" not in open_app(PAGE).dataframe[0].value
    assert "the spread between seeds is unknown" in notes(open_app(PAGE, part="seeds"))


def test_the_page_says_first_which_run_lies_nearer_to_its_axes(
    open_app: OpenApp, runs: dict[str, Run]
) -> None:
    said = notes(open_app(PAGE))
    assert any(
        words in said for words in ("nearer to its axes", "equally near", "its angles say little")
    )


@pytest.mark.parametrize("part", ["scores", "seeds", "rotation", "information"])
@pytest.mark.parametrize(
    ("left", "right"),
    [("checkpoints/discrete", "runs/smooth"), ("runs/smooth", "checkpoints/discrete")],
)
def test_a_link_opens_each_part_of_both_orders(
    open_app: OpenApp, runs: dict[str, Run], part: str, left: str, right: str
) -> None:
    app = open_app(PAGE, part=part, run=left, second=right)
    assert not app.exception
    assert not app.error
    assert app.query_params["part"] == part


def test_the_link_restores_both_runs_and_both_codes(
    open_app: OpenApp, runs: dict[str, Run]
) -> None:
    link = {"run": "checkpoints/discrete", "second": "runs/smooth", "code": "0.5,-0.5"}
    app = open_app(PAGE, **link, start="factors-3.4", second_code="1,2,3")
    assert not app.exception
    assert app.sidebar.selectbox(key="run-choice").value == "checkpoints/discrete"
    assert app.sidebar.selectbox(key="compare-right").value == "runs/smooth"
    assert {name: app.query_params[name] for name in link} == link
    assert app.query_params["second_code"] == "1,2,3"


@pytest.mark.parametrize(
    ("left", "right", "said"),
    [
        (0.0, 0.0, "each axis follows one of these two factors: 100% against 100%"),
        (0.5, 0.55, "about equally well: 80% against 77%"),
        (
            0.0,
            1.0,
            "The axes of a follow these two factors more closely than those of b: 100% against",
        ),
    ],
)
def test_a_grid_whose_values_are_in_another_order_is_judged_by_the_factors(
    left: float, right: float, said: str
) -> None:
    order = np.array([3.0, 0.0, 4.0, 1.0, 2.0])
    first, second = np.meshgrid(order, order, indexing="ij")

    def plane(mixed: float) -> FactorPlane:
        codes = np.stack([first + mixed * second, second - mixed * first], axis=-1)
        return FactorPlane((0, 1), codes.astype(np.float32), axis_angles(codes))

    assert said in verdict(["a", "b"], [plane(left), plane(right)])


def test_a_factor_that_numbers_the_images_holds_nothing_up(
    open_app: OpenApp, own_folders: Path, tiny_config: RunConfig
) -> None:
    """Such as the number of a patient: it says nothing that another image could show."""
    random = np.random.default_rng(0)
    factors = np.column_stack([random.integers(3, size=120), np.arange(120)])
    images = random.integers(0, 255, (120, 32, 32), np.uint8)
    names = np.array(["kind", "number"])
    np.savez(own_folders / "set.npz", images=images, factors=factors, factor_names=names)
    import_images(own_folders / "set.npz", "set", ImportOptions(32))
    for family in ("gaussian", "categorical"):
        config = changed(tiny_config, dataset="set", latents=family)
        train(Run.create(own_folders / "runs" / family, config, (1, 32, 32)))
    for page in (PAGE, "pages/explore.py", "pages/factors.py", "pages/latents.py"):
        app = open_app(page, run="runs/gaussian", second="runs/categorical")
        assert not app.exception
        assert [error.value for error in app.error] == [], page
    app = open_app(PAGE, run="runs/gaussian", second="runs/categorical", part="information")
    assert not app.exception
    assert not app.error


def test_a_second_run_that_is_not_here_is_said(open_app: OpenApp, runs: dict[str, Run]) -> None:
    app = open_app(PAGE, run="checkpoints/discrete", second="runs/nonsense")
    assert not app.exception
    assert "“runs/nonsense”, which is not here" in notes(app)


@pytest.mark.parametrize(("code", "second_code"), [("1", "1,2"), ("9,9", "1,2,3"), ("x", "nan")])
def test_a_code_that_a_run_does_not_have_is_put_right(
    open_app: OpenApp, runs: dict[str, Run], code: str, second_code: str
) -> None:
    link = {"run": "checkpoints/discrete", "second": "runs/smooth", "start": "factors-3.4"}
    app = open_app(PAGE, **link, code=code, second_code=second_code)
    assert not app.exception
    assert not app.error
    explorations = [
        app.session_state["selection"].exploration(link[name]) for name in ("run", "second")
    ]
    lengths = [exploration.code and len(exploration.code) for exploration in explorations]
    assert lengths[0] in (None, 2)
    assert lengths[1] in (None, 3)
