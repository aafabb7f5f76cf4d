import ast
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageSequence

from dvae_core import commands
from dvae_core.__main__ import main
from dvae_core.runs.run import Run, State

TINY = [
    *("--preset", "quick", "--threads", "1", "--device", "cpu"),
    *("--steps", "12", "--batch-size", "8", "--log-every", "4"),
]


def last_json(capsys: pytest.CaptureFixture[str]) -> dict:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_datasets_are_listed_with_their_factors(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["datasets", "--json"]) == 0
    circles = last_json(capsys)["circles"]
    assert (circles["state"], circles["factor_names"]) == ("ready", ["x", "y"])


def test_a_run_is_trained_and_traversed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(tmp_path / "demo")
    assert main(["train", "--run-dir", folder, *TINY, "--json"]) == 0
    printed = last_json(capsys)
    assert (printed["state"], printed["step"]) == ("finished", 12)
    strip = tmp_path / "strip.png"
    flags = ["--latents", "1,0", "--count", "16", "--scale", "1", "--no-labels"]
    assert main(["traverse", folder, *flags, "--output", str(strip), "--json"]) == 0
    assert last_json(capsys)["latents"] == [1, 0]
    with Image.open(strip) as image:
        assert image.size == (16 * 34 - 2, 2 * 34 - 2)
    film = tmp_path / "film.gif"
    assert main(["traverse", folder, "--latent", "1", "--fps", "20", "--output", str(film)]) == 0
    with Image.open(film) as image:
        assert image.info["duration"] == 50
        assert len(list(ImageSequence.Iterator(image))) == 30


def test_a_training_that_would_enlarge_images_is_refused_before_a_file_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "large"
    flags = ["--dataset", "sprites", "--image-size", "128"]
    assert main(["train", "--run-dir", str(folder), *flags]) == 2
    assert "sprites has images of 64 x 64 pixels" in capsys.readouterr().err
    assert not folder.exists()


def test_a_flag_wins_over_the_preset(tmp_path: Path) -> None:
    main(["train", "--run-dir", str(tmp_path / "demo"), *TINY, "--num-categories", "3"])
    record = Run(tmp_path / "demo").record
    assert (record.num_categories, record.image_size, record.steps) == (3, 32, 12)


@pytest.mark.parametrize(
    ("flags", "counts"),
    [
        (["--cardinalities", "3", "7"], (3, 7, 40)),
        (["--known-cardinalities"], (32, 32, 40)),
    ],
)
def test_cardinalities_are_given_or_taken_from_the_data_set(
    tmp_path: Path, flags: list[str], counts: tuple[int, ...]
) -> None:
    size = ["--num-latents", "3", "--num-categories", "40"]
    assert main(["train", "--run-dir", str(tmp_path / "demo"), *TINY, *size, *flags]) == 0
    written = json.loads((tmp_path / "demo" / "config.json").read_text())
    assert tuple(written["cardinalities"]) == counts[:2]
    run = Run(tmp_path / "demo")
    assert run.load_model().latents.category_counts == counts


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--run-dir", "RUN", "--dataset", "squares"], "no data set is called 'squares'"),
        (["train", "--run-dir", "RUN", "--latents", "discrete"], "discrete"),
        (["train", "--run-dir", "RUN", "--stepss", "3"], "--stepss"),
        (["train", "--run-dir", "RUN", "--preset", "fast"], "no preset is called 'fast'"),
        (["train", "--run-dir", "Bad Name"], "cannot name a run"),
        (["train", "--run-dir", "RUN", "--compiled"], "compiled is set, but the device is"),
        (["train", "--run-dir", "RUN", "--cardinalities", "3", "x"], "cardinalities"),
        (["train", "--run-dir", "RUN", "--cardinalities", "65"], "num_categories is 64"),
        (
            ["train", "--run-dir", "RUN", "--latents", "gaussian", "--known-cardinalities"],
            "gaussian latents have no categories",
        ),
        (
            ["train", "--run-dir", "RUN", "--preset", "quick", "--known-cardinalities"],
            "32 for latent 0, but num_categories is 16",
        ),
        (
            ["train", "--run-dir", "RUN", "--cardinalities", "3", "--known-cardinalities"],
            "not both",
        ),
        (["train"], "run-dir"),
        (["resume", "RUN"], "not a run folder"),
        (["traverse", "RUN", "--latent", "0", "--output", "x.png"], "not a run folder"),
        (["traverse", "RUN", "--latent", "0", "--output", "x.bmp"], "must end in .png, .svg"),
        (["codes", "RUN", "--output", "x.txt"], "must end in .csv, .npz"),
        (["codes", "RUN", "--output", "x.npz"], "not a run folder"),
        (["sheet", "circles", "--output", "none/x.png"], "there is no folder none"),
        (["dance"], "dance"),
        ([], "train"),
        (["download", "circles"], "nothing to download for 'circles'"),
        (["download", "shapes3d", "--trust-hash", "no"], "32 hexadecimal digits of an MD5"),
        (["app", "--allow-host", "https://hub.example/"], "without http://"),
        (["import", "nowhere", "--name", "mine"], "nowhere"),
        (["train", "--run-dir", "RUN", "--dataset", "shapes3d"], "download shapes3d"),
        (["stop", "nowhere"], "there is no such folder"),
        (["delete", "nowhere"], "is not a run folder"),
        (["export-run", "nowhere", "--output", "x.zip"], "there is no such folder"),
        (["import-run", "nowhere.zip"], "does not exist"),
        (["resume", "nowhere", "--background"], "there is no such folder"),
        (["train", "--run-dir", "x", "--background", "--tensorboard"], "cannot be combined"),
    ],
)
def test_a_mistake_is_one_line_and_status_two_and_nothing_is_written(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([a if a != "RUN" else str(tmp_path / "run") for a in arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert "pydantic" not in captured.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("app --port 0", "--port is 0: give a number from 1 to 65,535"),
        ("train --run-dir new --steps -3", "steps is -3: give a number of at least 1"),
        ("train --run-dir new --learning-rate 0", "learning_rate is 0.0: give a number greater"),
        ("train --run-dir new --cardinalities 3 1", "cardinalities.1 is 1: give a number of"),
        ("estimate --batch-size 4097", "batch_size is 4097: give a number of at most 4,096"),
        ("resume RUN --steps 11", "--steps is 11, but the run is planned for 12 steps: give"),
        ("evaluate RUN --points 0", "points is 0: give a number of at least 1"),
        ("evaluate RUN --points many", "--points is 'many': give a number"),
        ("train --run-dir new --beta x", "--beta is 'x': give a number"),
        ("evaluate RUN --test-points 0", "test_points is 0: give a number of at least 1"),
        ("evaluate RUN --gap-batches 0", "gap_batches is 0: give a number of at least 1"),
        ("evaluate RUN --seed -1", "seed is -1: give a number of at least 0"),
        ("evaluate RUN --workers 0", "--workers is 0: give a number of at least 1"),
        ("sweep sweeps/circles.toml --workers 0", "workers is 0: give a number of at least 1"),
        ("sweep sweeps/circles.toml --gpus -1", "gpus is -1: give a number of at least 0"),
        ("sweep sweeps/circles.toml --runs-per-gpu 65", "runs_per_gpu is 65: give a number of"),
        ("select . --seed -1", "--seed is -1: give a number from 0 to 2,147,483,647"),
        ("traverse RUN --latent 2 --output x.png", "there is no latent 2: the model has 2"),
        ("traverse RUN --latent 0 --output x.png --count 1", "count is 1: give a number from 2"),
        ("traverse RUN --latent 0 --output x.png --seed -1", "seed is -1: give a number from 0"),
        ("traverse RUN --latents 0,x --output x.png", "--latents is '0,x': give numbers"),
        ("traverse RUN --fps 60 --output x.gif", "fps is 60.0: give a number from 1 to 50"),
        ("traverse RUN --scale 0 --output x.pdf", "scale is 0: give a number from 1 to 16"),
        ("traverse RUN --output none/x.pdf", "there is no folder none"),
        ("codes RUN --count 0 --output x.npz", "count is 0, but must be from 1 to"),
        ("sheet circles --output x.png --count 513", "--count is 513: give a number from 2 to"),
        ("sheet circles --output x.png --seed -1", "--seed is -1: give a number from 0"),
        (
            "queue --at-once 0",
            "0 trainings cannot run at the same time: give a number from 1 to 16",
        ),
        (
            "import-model --name m --decoder d.onnx --latents categorical --dataset circles "
            "--num-categories 1",
            "--num-categories is 1: give a number from 2 to 512",
        ),
        ("import x --name mine --image-size 48", "48"),
        ("evaluate RUN --metrics mig,beauty", "no metric is called 'beauty'"),
        ("resume RUN", "is finished at step 12"),
    ],
)
def test_a_value_that_cannot_be_is_one_line_and_status_two_and_nothing_is_written(
    tiny_run: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: str,
    message: str,
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    assert main([str(tiny_run.path) if a == "RUN" else a for a in arguments.split()]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(Path().iterdir())


def test_a_run_is_evaluated_and_keeps_its_scores(
    tiny_run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", str(tiny_run.path), "--protocol", "paper", "--metrics", "mig,kl"]
    assert main([*command, "--points", "500", "--json"]) == 0
    mig = last_json(capsys)["scores"]["mig"]
    assert 0 <= mig["value"] <= 1
    assert (mig["points"], mig["protocol"]) == (500, "paper")
    written = tiny_run.read_evaluation()
    names = {score["name"] for score in written["scores"]}
    assert names == {"mig", "kl", "sampled_kl", "active_latents"}


def test_scores_from_more_points_are_kept_until_a_replacement_is_asked_for(
    tiny_run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", str(tiny_run.path), "--metrics", "mig,modularity", "--json"]
    assert main([*command, "--metrics", "mig", "--points", "500"]) == 0
    better = last_json(capsys)["scores"]["mig"]
    assert main([*command, "--points", "10"]) == 0
    output = capsys.readouterr()
    assert "kept mig from 500 points: --replace measures it anew" in output.out + output.err
    kept = {score["name"]: score for score in tiny_run.read_evaluation()["scores"]}
    assert kept["mig"] == better
    assert kept["modularity"]["points"] == 10
    assert main([*command, "--points", "50", "--replace"]) == 0
    assert last_json(capsys)["scores"]["mig"]["points"] == 50


def test_two_evaluations_of_one_run_do_not_lose_each_others_scores(
    tiny_run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    with tiny_run.reserved_for("evaluation"):
        assert main(["evaluate", str(tiny_run.path), "--metrics", "mig"]) == 2
    assert "held by another process for evaluation" in capsys.readouterr().err


def test_codes_of_a_run_are_written(
    tiny_run: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DVAE_DATA", str(tmp_path / "data"))
    path = tmp_path / "codes.csv"
    command = ["codes", str(tiny_run.path), "--output", str(path), "--count", "20"]
    assert main([*command, "--no-posteriors", "--json"]) == 0
    assert last_json(capsys) == {
        "output": str(path),
        "images": 20,
        "bytes": path.stat().st_size,
    }
    assert path.read_text().count("\n") == 21


def test_a_sheet_has_a_row_for_each_factor(tmp_path: Path) -> None:
    output = tmp_path / "sheet.png"
    assert main(["sheet", "circles", "--output", str(output), "--count", "5"]) == 0
    with Image.open(output) as image:
        assert image.height == 2 * 66 + 2


def test_ones_own_images_are_imported_and_trained_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVAE_DATA", str(tmp_path / "data"))
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(4):
        Image.effect_noise((50, 40), 80).save(pictures / f"{number}.png")
    command = ["import", str(pictures), "--name", "mine", "--image-size", "32"]
    assert main([*command, "--plan"]) == 0
    assert not (tmp_path / "data").exists()
    assert main([*command, "--json"]) == 0
    assert last_json(capsys)["images"] == 4
    train = ["train", "--run-dir", str(tmp_path / "run"), *TINY, "--dataset", "mine"]
    assert main(train) == 0
    assert Run(tmp_path / "run").record.dataset == "mine"


def start(folder: Path, *flags: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "dvae_core", "train", "--run-dir", str(folder), *TINY, *flags]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def wait_until_saved(run: Run, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while not run.has_model and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    assert run.has_model


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGKILL, marks=pytest.mark.slow),
        signal.SIGINT,
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_training_resumes_to_the_same_bits(tmp_path: Path, number: int) -> None:
    steps = ("--steps", "150", "--checkpoint-seconds", "0.1")
    run = Run(tmp_path / "killed")
    process = start(run.path, *steps)
    wait_until_saved(run, process)
    os.kill(process.pid, number)
    process.communicate(timeout=60)
    killed = number == signal.SIGKILL
    assert run.state() is (State.LOST if killed else State.STOPPED)
    assert process.returncode == (-number if killed else 130)
    assert run.status().step < 150
    assert main(["resume", str(run.path)]) == 0
    assert main(["train", "--run-dir", str(tmp_path / "whole"), *TINY, *steps]) == 0
    whole = Run(tmp_path / "whole").load_model().state_dict()
    for key, tensor in run.load_model().state_dict().items():
        assert torch.equal(tensor, whole[key]), key


def test_a_run_in_training_is_not_trained_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(tmp_path / "busy")
    process = start(run.path, "--steps", "100000", "--checkpoint-seconds", "0")
    try:
        wait_until_saved(run, process)
        assert main(["resume", str(run.path)]) == 2
        assert f"is being trained by process {process.pid}" in capsys.readouterr().err
    finally:
        process.kill()
        process.communicate()


def test_the_preset_of_the_paper_needs_a_data_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "--preset", "paper", "--run-dir", str(tmp_path / "run")]
    assert main(command) == 2
    assert "the preset paper leaves the data set open" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_no_text_of_a_file_reaches_the_terminal_raw(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    tiny_run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A terminal obeys control characters: it would clear itself, or answer as if typed to."""
    escape = "\x1b[2J\x07"
    monkeypatch.setenv("DVAE_RUNS", str(tiny_run.path.parent))
    record = json.loads((tiny_run.path / "config.json").read_text())
    (tiny_run.path / "config.json").write_text(json.dumps(record | {escape: 1}))
    assert main(["export-model", str(tiny_run.path), "--output", str(tmp_path / "a")]) == 2
    (tiny_run.path / "config.json").write_text(json.dumps(record))
    status = json.loads((tiny_run.path / "status.json").read_text())
    failed = status | {"state": "failed", "message": f"broke {escape}"}
    (tiny_run.path / "status.json").write_text(json.dumps(failed))
    assert main(["runs"]) == 0
    assert main(["evaluate", str(tmp_path / escape)]) == 2
    printed = capfd.readouterr()
    assert printed.err.count("[2J") == 2
    assert printed.out.count("[2J") == 1
    assert "\x1b" not in printed.err + printed.out
    assert "\x07" not in printed.err + printed.out


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("argument", ["--help", "datasets"])
def test_a_reader_that_goes_away_ends_a_command_without_a_word(
    argument: str, unbuffered: str
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "dvae_core", argument],
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        os.close(writer)
    assert done.stderr == ""
    assert done.returncode == 141


def test_only_one_function_prints() -> None:
    folder = Path(commands.__file__).parent
    printing = {
        path.name
        for path in [*folder.glob("*.py"), folder.with_name("__main__.py")]
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Name) and node.id == "print"
    }
    # JSON escapes control characters, and the help has none.
    assert printing == {"output.py", "command.py", "__main__.py"}
