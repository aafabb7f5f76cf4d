import json
import re
import tracemalloc
from pathlib import Path

import pytest

from dvae_core.config import RunConfig
from dvae_core.errors import ConfigError
from dvae_core.runs.run import RUN_ID
from dvae_core.sweep.plan import Sweep, parse_overrides, read_sweep

SHIPPED = sorted((Path(__file__).parents[2] / "sweeps").glob("*.toml"))


def written(folder: Path, text: str, name: str = "study.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def planned(folder: Path, text: str, **overrides: object) -> Sweep:
    return read_sweep(written(folder, text), overrides)


def test_a_grid_is_every_combination_and_cases_go_together(tmp_path: Path) -> None:
    sweep = planned(
        tmp_path,
        """
        preset = "quick"
        seeds = [3, 1]
        [fixed]
        steps = 7
        [grid]
        learning_rate = [1e-3, 1e-4]
        [[cases]]
        latents = "gaussian"
        [[cases]]
        latents = "categorical"
        num_categories = [4, 8]
        """,
    )
    assert [run.id for run in sweep.runs] == [
        f"learning-rate-{rate}_{case}_seed-{seed}"
        for seed in (3, 1)
        for rate in ("0p001", "0p0001")
        for case in ("gaussian", "categorical_num-categories-4", "categorical_num-categories-8")
    ]
    last = sweep.runs[-1].config
    assert (last.steps, last.seed, last.learning_rate, last.num_categories) == (7, 1, 1e-4, 8)
    assert (last.dataset, last.image_size, last.threads) == ("circles", 32, 1)  # preset, default


def test_json_says_the_same_as_toml(tmp_path: Path) -> None:
    content = {"seeds": 2, "grid": {"num_latents": [2, 3]}, "evaluation": {"metrics": "mig,kl"}}
    sweep = read_sweep(written(tmp_path, json.dumps(content), "study.json"))
    toml = 'seeds = 2\n[grid]\nnum_latents = [2, 3]\n[evaluation]\nmetrics = ["mig", "kl"]\n'
    same = planned(tmp_path, toml)
    assert (sweep.runs, sweep.evaluation) == (same.runs, same.evaluation)


def test_a_list_that_grows_renames_nothing(tmp_path: Path) -> None:
    before = planned(tmp_path, 'seeds = 1\n[grid]\nlatents = ["gaussian"]\n')
    after = planned(tmp_path, 'seeds = 12\n[grid]\nlatents = ["gaussian", "categorical"]\n')
    assert {run.id: run.config for run in before.runs}.items() <= {
        run.id: run.config for run in after.runs
    }.items()


def test_long_names_are_cut_and_stay_apart(tmp_path: Path) -> None:
    grid = "\n".join(
        f"{key} = [{value}]"
        for key, value in [
            ("noise_scale_start", 0.123456789),
            ("noise_scale_end", 0.123456789),
            ("learning_rate", 0.000123456),
        ]
    )
    runs = planned(tmp_path, f"seeds = 3\n[grid]\n{grid}\n").runs
    assert len({run.id for run in runs}) == 3
    assert all(RUN_ID.fullmatch(run.id) and len(run.id) == 64 for run in runs)


def test_known_cardinalities_come_from_the_data_set(tmp_path: Path) -> None:
    text = """
    [fixed]
    dataset = "sprites"
    [grid]
    cardinalities = ["dataset", []]
    """
    first, second = planned(tmp_path, text).runs
    assert (first.id, second.id) == ("cardinalities-dataset", "cardinalities-none")
    assert first.config.cardinalities == (3, 6, 40, 32, 32)
    assert second.config.cardinalities == ()


def test_overrides_win_wherever_the_file_has_a_setting(tmp_path: Path) -> None:
    text = """
    preset = "quick"
    seeds = 10
    [fixed]
    steps = 5
    [grid]
    latents = ["gaussian", "categorical"]
    [[cases]]
    num_categories = [4, 8]
    """
    overrides = parse_overrides(["steps=3", "latents=gaussian", "seeds=1", "num_categories = 4"])
    (run,) = planned(tmp_path, text, **overrides).runs
    assert run.id == "seed-0"
    assert (run.config.steps, run.config.latents, run.config.num_categories) == (3, "gaussian", 4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[fixed]\nstep = 3", r"\[fixed\] step: there is no such setting; did you mean steps"),
        ("[gird]\nsteps = [3]", "unknown setting gird"),
        ("[grid]\nsteps = 3", "grid.steps is 3, but input should be a valid list"),
        ("[grid]\nsteps = []", r"\[grid\] steps is an empty list"),
        ("[grid]\nsteps = [3, 3]", r"\[grid\] steps has 3 twice"),
        ("[grid]\nsteps = [3, 3.0]", r"\[grid\] steps has 3.0 twice"),
        ("seeds = [1, 1]", "seeds has 1 twice"),
        ("seeds = true", "seeds"),
        ("seeds = 0", "seeds"),
        ("[fixed]\nsteps = -3", "steps is -3: give a number of at least 1"),
        ("[grid]\ngamma = [-1, 10]", r"gamma is -1: .* \(in the run of gamma -1\)"),
        ('[fixed]\nlatents = "discrete"', "latents is 'discrete'"),
        ("seeds = 2\n[grid]\nseed = [3]", r"\[grid\] seed is already set in \[seeds\]"),
        ("[fixed]\nsteps = 3\n[grid]\nsteps = [4]", r"\[grid\] steps is already set in \[fixed\]"),
        ("[[cases]]\nsteps = 3\n[[cases]]\nsteps = 3", "two runs have the name steps-3"),
        (
            '[fixed]\nlatents = "gaussian"\n[grid]\nnum_categories = [4, 8]',
            "are the same run: elbo with gaussian latents ignores what differs",
        ),
        ("[grid]\ngamma = [10, 20]", "elbo with categorical latents ignores what differs"),
        ('preset = "fast"', "no preset is called 'fast'"),
        ('preset = "paper"', "leaves the data set open"),
        ('[evaluation]\nmetrics = "beauty"', "no metric is called 'beauty'"),
        ('[evaluation]\nmetrics = ["mig", "beauty"]', "evaluation.metrics.1 is 'beauty'"),
        ("[evaluation]\npoints = 3", "evaluation.metrics is missing"),
        (f"seeds = {list(range(1000))}\n[grid]\nsteps = {list(range(1, 1001))}", "1,000,000 runs"),
        ("steps = ", "is not valid TOML: "),
        ("\x00", "is not valid TOML: "),
        ('[fixed]\ncardinalities = "dataset"\ndataset = "squares"', "squares"),
        ('[fixed]\ncardinalities = "dataset"\ndataset = [1]', r"dataset is \[1\]"),
        ("[fixed]\ndataset = 5", "dataset is 5, but input should be a valid string"),
        ('[fixed]\ndataset = "a b"', "names of data sets have"),
        ("[fixed]\nsteps = {a = 1}", "fixed.steps is .* a text, a number"),
        ("[fixed]\nsteps = 1979-05-27", "fixed.steps is .* a text, a number"),
        ("[grid]\ncardinalities = [[[2]]]", "grid.cardinalities is .* a text, a number"),
        ("[fixed]\nlearning_rate = nan", "should be a finite number"),
        (f"[fixed]\nsteps = {'9' * 4000}", "give a number of at most"),
        ('[evaluation]\nmetrics = ["mig", "mig"]', "a name is there twice"),
    ],
)
def test_a_mistake_is_one_line_with_file_and_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        planned(tmp_path, text)
    assert str(raised.value).startswith(str(tmp_path / "study.toml"))
    assert "\n" not in str(raised.value)


TWENTY = list(RunConfig.model_fields)[:20]


def many(*values: object) -> str:
    return json.dumps(list(values) * 1_000)


# Each took gigabytes or minutes, and is refused before anything of its size is made.
@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.toml", "seeds = 2000000000\npreset = 'quick'", "the sweep has 2,000,000,000 runs"),
        ("a.toml", f"a{'.a' * 60_000} = 1", "more than 200 dots"),
        ("a.toml", f"[grid]\nsteps = {list(range(1, 50_000))}", "over 256 KB"),
        ("a.toml", f"[grid]\nsteps = {list(range(1, 30_000))}", "the sweep has 29,999 runs"),
        ("a.toml", f"seeds = {list(range(30_000))}", "the sweep has 30,000 runs"),
        (
            "a.json",
            '{"cases": ' + many({key: list(range(1, 12)) for key in ("steps", "log_every")}) + "}",
            "the sweep has 121,000 runs",
        ),
        (
            "a.json",
            json.dumps({"grid": {key: [1, 2, 3] * 50 for key in TWENTY}}),
            "has 1 twice",
        ),
        (
            "a.json",
            json.dumps({"grid": {key: [*range(50)] for key in TWENTY}}),
            "more than 1,000,000,000,000 runs",
        ),
        ("a.json", '{"evaluation": {"metrics": ' + many("mig") + "}}", "at most 100 items"),
        ("a.json", '{"fixed": {"cardinalities": ' + many(2) + "}}", "at most 512 items"),
        ("a.json", '{"fixed": ' + "[" * 100_000, "nested too deeply"),
        ("a.json", "{" + ", ".join(f'"k{i % 9_000}": 1' for i in range(9_001)) + "}", "k0 is set"),
        ("a.json", "[]", "not an object of settings"),
        ("a.json", '{"fixed": {"steps": 1e999}}', "1e999 is not a finite number"),
        ("a.json", '{"fixed": {"\\ud800": 1}}', r"\\ud800: there is no such setting"),
    ],
    ids=range(15),
)
def test_a_bomb_is_one_line(tmp_path: Path, name: str, text: str, message: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ConfigError, match=message) as raised:
            read_sweep(written(tmp_path, text, name))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 500
    assert most < 64 * 2**20


def test_a_key_that_stands_twice_in_json_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, '{"seeds": 1, "seeds": 2}', "study.json")
    with pytest.raises(ConfigError, match="seeds is set twice"):
        read_sweep(path)


@pytest.mark.parametrize("name", ["missing.toml", "study.yaml"])
def test_what_is_no_sweep_file_is_refused(tmp_path: Path, name: str) -> None:
    written(tmp_path, "seeds: 3", "study.yaml")
    with pytest.raises(ConfigError, match=r"a sweep is a .toml or .json file"):
        read_sweep(tmp_path / name)


def test_an_assignment_without_a_value_is_refused() -> None:
    with pytest.raises(ConfigError, match="KEY=VALUE is expected"):
        parse_overrides(["steps"])


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_file_is_sound(path: Path) -> None:
    sweep = read_sweep(path)
    assert RUN_ID.fullmatch(path.stem)  # its folder is listed by the app
    assert sweep.evaluation is not None
    said = re.search(r"(\d+) runs", path.read_text())
    assert said
    assert len(sweep.runs) == int(said[1])
