"""What studies/ promises: every record belongs to its sweep file, and is small."""

import math
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.strips import Panel, Strip, strips_svg
from benchmarks.studies import (
    METHOD_SCORES,
    SCORES,
    compared,
    counted_infom,
    criteria_table,
    interval,
    loss,
    methods_figure,
    methods_steps_table,
    methods_table,
    pack,
    penalties_table,
    setting_figure,
    settings_table,
    steps_table,
    thesis_table,
)
from dvae_core.config import RunConfig
from dvae_core.errors import RunError
from dvae_core.jobs.trash import delete_run
from dvae_core.runs.catalog import STUDIES_ROOT, list_runs, load_run, run_roots, usable_runs
from dvae_core.runs.run import Run, State
from dvae_core.selection.study import RECONSTRUCTION_GAP, Study, read_study, read_study_run
from dvae_core.sweep.plan import read_sweep
from tests.selection.planted import changed, planted_run

STUDIES = sorted(path for path in STUDIES_ROOT.iterdir() if path.is_dir())


@pytest.mark.parametrize("folder", STUDIES, ids=lambda path: path.name)
def test_the_records_of_a_study_are_the_runs_of_its_sweep_file(folder: Path) -> None:
    planned = {run.id: run.config for run in read_sweep(Path(f"sweeps/{folder.name}.toml")).runs}
    records = {run.id: run for run in list_runs(folder)}
    assert records.keys() == planned.keys()
    for name, run in records.items():
        settings = {field: getattr(run.record, field) for field in RunConfig.model_fields}
        assert RunConfig(**settings) == planned[name]
        row = read_study_run(run)
        assert row.left_out("paper") == ""


def test_all_records_are_small() -> None:
    sizes = [path.stat().st_size for path in STUDIES_ROOT.rglob("*") if path.is_file()]
    assert sum(sizes) < 10e6


@pytest.fixture
def record(tmp_path: Path, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A finished run as a record in a study of its own."""
    run = planted_run(tmp_path / "runs" / "one", changed(tiny_config, steps=99), {"mig": 0.3})
    for step in range(100):
        run.metrics.append({"step": step})
    pack(run, tmp_path / "studies" / "mine" / "one")
    monkeypatch.setattr("dvae_core.runs.catalog.STUDIES_ROOT", tmp_path / "studies")
    return load_run("studies/mine/one")


def test_a_record_has_scores_and_thinned_curves_and_no_weights(record: Run) -> None:
    assert run_roots()["studies/mine"] == record.path.parent
    assert record.state() is State.FINISHED
    assert read_study_run(record).score("mig", "paper") == pytest.approx(0.3)
    assert len(record.metrics.read()) == 40
    assert not record.has_model
    assert record.id not in [run.id for _, run in usable_runs()]


def test_a_record_cannot_be_opened_or_deleted(record: Run) -> None:
    with pytest.raises(RunError, match="is a record, which has scores and no weights"):
        record.load_model()
    with pytest.raises(RunError, match="is shipped with the app"):
        delete_run(record)


def test_only_finished_and_measured_runs_become_records(
    tmp_path: Path, tiny_config: RunConfig
) -> None:
    stopped = Run.create(tmp_path / "stopped", tiny_config, (1, 32, 32))
    with pytest.raises(RunError, match="only a finished run is a record"):
        pack(stopped, tmp_path / "target")
    planted = planted_run(tmp_path / "planted", tiny_config, {})
    with pytest.raises(RunError, match="is no record: no scores under the protocol paper"):
        pack(planted, tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_a_record_is_not_overwritten(record: Run, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="exists: remove it"):
        pack(Run(tmp_path / "runs" / "one"), record.path)


def test_scores_of_earlier_weights_make_no_record(tmp_path: Path, tiny_config: RunConfig) -> None:
    run = planted_run(tmp_path / "old", tiny_config, {"mig": 0.3}, score_step=11)
    with pytest.raises(RunError, match="the scores are of step 11"):
        pack(run, tmp_path / "target")


def planted_study(tmp_path: Path, config: RunConfig, scores: Mapping[str, list[float]]) -> Study:
    """Runs of each family, each with its reconstruction and the same for MIG."""
    for latents, values in scores.items():
        for seed, value in enumerate(values):
            settings = config.model_copy(update={"latents": latents, "seed": seed})
            measured = dict.fromkeys(SCORES, value)
            planted_run(tmp_path / f"{latents}-{seed}", settings, measured)
    return read_study(tmp_path, "paper")


def test_the_families_are_compared_by_medians_and_ranks(
    tmp_path: Path, tiny_config: RunConfig
) -> None:
    study = planted_study(
        tmp_path,
        tiny_config,
        {"gaussian": [0.1, 0.2, 0.3, 0.4], "categorical": [0.5, 0.6, 0.7, 0.8]},
    )
    head, mig, *_ = thesis_table(study)
    assert head[-1] == "p"
    assert mig[0] == "MIG"
    assert mig[1].startswith("0.250 (0.1")
    assert mig[2].startswith("0.650 (0.5")
    assert mig[3:] == ["1.00", "0.0286"]  # exact: 2 / C(8, 4)


def test_equal_groups_are_as_likely_higher_as_lower() -> None:
    higher, p = compared([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    assert higher == 0.5
    assert p == pytest.approx(1.0)


def test_the_loss_of_a_pilot_is_reconstruction_plus_kl(
    tmp_path: Path, tiny_config: RunConfig
) -> None:
    study = planted_study(tmp_path, tiny_config, {"gaussian": [2.0, 3.0], "categorical": [5.0]})
    rows = steps_table(study)
    assert rows[1][1:] == ["4.00, 6.00: 5.00", "10.00"]


def test_a_loss_without_all_parts_is_refused(tmp_path: Path, tiny_config: RunConfig) -> None:
    run = read_study_run(planted_run(tmp_path / "one", tiny_config, {"kl": 1.0}))
    with pytest.raises(RunError, match="lacks reconstruction"):
        loss(run)


def test_the_loss_of_a_pilot_of_points_leaves_out_their_constant_kl(
    tmp_path: Path, tiny_config: RunConfig
) -> None:
    measured = {"reconstruction": 2.0, "kl": 3.0}
    for latents, delay in (("qvae", 0), ("quantized", 0), ("fsq", 0), ("fsq", 5)):
        for size in (0.1, 0.2) if latents == "fsq" else (0.1,):
            config = changed(
                tiny_config, latents=latents, encoder_delay=delay, learning_rate=size, seed=delay
            )
            planted_run(tmp_path / f"{latents}-{delay}-{size * 10:g}", config, measured)
    head, *rows = methods_steps_table(read_study(tmp_path, "paper"))
    assert head == ["step size", "FSQ, delay 0", "FSQ, delay 5", "QLAE", "QVAE"]
    assert rows == [["0.1", "2.00", "2.00", "2.00", "5.00"], ["0.2", "2.00", "2.00", "—", "—"]]


def test_methods_are_told_apart_by_family_decay_and_penalty(
    tmp_path: Path, tiny_config: RunConfig
) -> None:
    methods: dict[str, dict[str, object]] = {
        "FSQ": {"latents": "fsq"},
        "Tripod": {"latents": "fsq", "hessian_weight": 1.0},
        "QLAE": {"latents": "quantized", "weight_decay": 0.1},
        "no decay": {"latents": "quantized"},
    }
    for place, settings in enumerate(methods.values()):
        config = changed(tiny_config, **settings)
        scores = {"mig": 0.1 * place, "reconstruction": 2.0}
        planted_run(tmp_path / f"run-{place}", config, scores, protocol="native")
        planted_run(tmp_path / f"paper-{place}", config, {"mig": 0.9})
    study = read_study(tmp_path, "native")
    head, *rows, p = methods_table(study)
    assert head[:2] == ["method", "runs"]
    assert [(row[0], row[1], row[5][:5]) for row in rows] == [
        ("QLAE", "1", "0.200"),
        ("no decay", "1", "0.300"),
        ("FSQ", "1", "0.000"),
        ("Tripod", "1", "0.100"),
    ]
    assert p[0] == "p (Kruskal-Wallis)"
    drawn = ElementTree.fromstring(methods_figure(study))
    words = [node.text for node in drawn.iter() if node.tag.endswith("text")]
    assert words.count("Tripod") == 2  # MIG and reconstruction


def test_a_penalty_is_compared_with_the_same_family_without(
    tmp_path: Path, tiny_config: RunConfig
) -> None:
    def planted(study: str, settings: Mapping[str, object], migs: list[float]) -> None:
        for seed, mig in enumerate(migs):
            name = f"{len(settings)}-{settings['latents']}-{seed}"
            config = changed(tiny_config, **settings, seed=seed)
            scores = {**dict.fromkeys(METHOD_SCORES, 0.5), "mig": mig}
            planted_run(tmp_path / study / name, config, scores, protocol="native")

    planted("without", {"latents": "gaussian"}, [0.1, 0.2, 0.3])
    planted("without", {"latents": "fsq"}, [0.4, 0.5, 0.6])
    planted("with", {"latents": "gaussian", "gamma": 10}, [0.4, 0.5, 0.6])
    planted("with", {"latents": "fsq", "hessian_weight": 1.0}, [0.1, 0.2, 0.45])
    studies = (read_study(tmp_path / name, "native") for name in ("with", "without"))
    head, *rows = penalties_table(*studies)
    assert head == ["P(higher with the penalty) (p)", "Gaussian", "Tripod"]
    assert ["MIG", "1.00 (0.1000)", "0.11 (0.2000)"] in rows  # 2 and 4 of C(6, 3) = 20
    assert ["InfoM", "0.50 (1.0000)", "0.50 (1.0000)"] in rows


def test_settings_are_rows_with_the_medians_of_their_runs(
    tmp_path: Path, tiny_config: RunConfig
) -> None:
    study = planted_study(
        tmp_path, tiny_config, {"gaussian": [0.2], "categorical": [0.1, 0.3, 0.5]}
    )
    head, *rows, last = settings_table(study, "latents", scores=("mig", "infoe"))
    assert head == ["latents", "runs", "MIG", "InfoE"]
    assert [row[:2] for row in rows] == [["categorical", "3"], ["gaussian", "1"]]
    assert rows[0][2].startswith("0.300 (")
    assert last == [
        "p (Kruskal-Wallis)",
        "",
        "0.6547",
        "0.6547",
    ]  # H = 0.2 by the ranks 1, 3, 4 and 2


def test_a_setting_that_is_a_number_has_a_rank_correlation_with_each_score(
    tmp_path: Path, tiny_config: RunConfig
) -> None:
    for categories in (2, 4, 16):
        for seed in range(3):
            settings = changed(tiny_config, num_categories=categories, seed=seed)
            scores = {"mig": 0.1 * seed - categories, "kl": 1.0}
            planted_run(tmp_path / f"{categories}-{seed}", settings, scores)
    study = read_study(tmp_path, "paper")
    _, *rows, p, rho = settings_table(study, "num_categories", scores=("mig", "kl", "infoe"))
    assert [row[0] for row in rows] == ["2", "4", "16"]
    assert p[2:] == ["0.0273", "1.0000"]  # H = 7.2, the largest of three groups of three
    assert rho[:2] == ["rho with num_categories (95 %)", ""]
    assert rho[2] == "-0.95 (-0.98 to -0.84)"
    assert rho[3:] == ["all values are the same"]  # and no column without a value
    drawn = ElementTree.fromstring(setting_figure(study, "num_categories", "K & more"))
    colors = {node.attrib["fill"] for node in drawn.iter() if node.tag.endswith("circle")}
    assert len(colors) == 2  # the points of all values, and the ground of the rings
    words = [node.text for node in drawn.iter() if node.tag.endswith("text")]
    assert words[:6] == ["MIG", "-15", "-10", "-5", "0", "2"]  # no score is measured beside it
    assert words[-1] == "K & more"


def test_the_interval_of_a_median_lies_within_the_values() -> None:
    low, median, high = interval([3.0, 1.0, 2.0, 5.0, 4.0])
    assert 1 <= low < median == 3 < high <= 5


def test_each_criterion_is_judged_on_the_same_runs(tmp_path: Path, tiny_config: RunConfig) -> None:
    for seed in range(6):
        scores = {
            "mig": seed / 10,
            RECONSTRUCTION_GAP: float(seed),  # the smallest gap selects the worst run
            "reconstruction": 20.0 - seed,
            "kl": 3.0 + seed,
        }
        settings = tiny_config.model_copy(update={"seed": seed})
        planted_run(tmp_path / f"run-{seed}", settings, scores)
    study = read_study(tmp_path, "paper")
    head, gap, reconstruction, kl = criteria_table({"mine": study})
    assert head[3:] == ["rho (95 %)", "selected", "best", "mean of all"]
    assert gap[:3] == ["mine", "smallest gap", "MIG"]
    assert gap[3].startswith("-1.00")
    assert gap[4:] == ["0.000", "0.500", "0.250"]
    assert reconstruction[3].startswith("1.00")
    assert reconstruction[4] == "0.500"
    assert kl[4] == "0.000"


def test_panels_stand_in_so_many_columns() -> None:
    panels = [Panel("MIG", [Strip("a", [0.2], 0.2, 0.2, 0.2)])] * 3
    drawn = ElementTree.fromstring(strips_svg(panels, columns=2))
    places = [node.attrib["transform"] for node in drawn if "transform" in node.attrib]
    assert places == ["translate(0 0)", "translate(250 0)", "translate(0 230)"]
    assert (drawn.attrib["width"], drawn.attrib["height"]) == ("500", "460")


def test_a_strip_has_a_point_for_each_run_and_its_ceiling() -> None:
    strips = [Strip("<b>", [0.2, 0.4], 0.2, 0.3, 0.4), Strip("b", [0.5], 0.5, 0.5, 0.5)]
    drawn = strips_svg([Panel("MIG", strips, perfect=0.8), Panel("KL", strips)])
    root = ElementTree.fromstring(drawn)
    circles = [node for node in root.iter() if node.tag.endswith("circle")]
    assert len(circles) == 2 * (3 + 2)  # the runs, and a median for each strip
    dashed = [node for node in root.iter() if "stroke-dasharray" in node.attrib]
    assert len(dashed) == 1
    # 0 is at the bottom, 1 at the top.
    heights = [float(node.attrib["cy"]) for node in circles[:2]]
    assert heights[1] < heights[0]
    assert float(dashed[0].attrib["y1"]) < heights[1]


def test_infom_of_the_latents_that_hold_something(tmp_path: Path, tiny_config: RunConfig) -> None:
    """Two latents know one factor each; the third, with hardly any KL, seems to know both."""
    tables = {
        "mutual_information": [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]],
        "factor_entropy": [[1.0, 1.0]],
        "kl": [[1.0, 1.0, 0.01]],
    }
    gaussian = changed(tiny_config, latents="gaussian", num_latents=3)
    planted_run(tmp_path / "gaussian" / "run", gaussian, {"mig": 0.5}, tables=tables)
    (run,) = read_study(tmp_path / "gaussian", "paper").counted
    assert counted_infom(run) == (pytest.approx(2 / 3), 1.0)
    # With categories, a KL of ln 2 is that of one category for all images.
    tables["kl"] = [[math.log(2)] * 3]
    tables["usage"] = [[0.5, 0.5], [0.5, 0.5], [0.0, 1.0]]
    discrete = changed(tiny_config, num_latents=3, num_categories=2)
    planted_run(tmp_path / "discrete" / "run", discrete, {"mig": 0.5}, tables=tables)
    (run,) = read_study(tmp_path / "discrete", "paper").counted
    assert counted_infom(run)[1] == 1.0
