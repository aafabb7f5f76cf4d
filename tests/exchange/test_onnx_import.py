import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper

from dvae_core.__main__ import main
from dvae_core.analysis.latent_profile import latent_profile
from dvae_core.analysis.traversal import traversal_rows, traverse_all
from dvae_core.data import load_dataset
from dvae_core.errors import ConfigError, CoreError, ModelError, RunError
from dvae_core.evaluation.protocol import evaluate
from dvae_core.evaluation.results import EvaluationSettings
from dvae_core.exchange import onnx_import
from dvae_core.exchange.onnx_import import import_model, one_row_a_latent, read_category_values
from dvae_core.onnx.description import OnnxLayout
from dvae_core.runs.run import Run, State
from dvae_core.selection.seeds import same_but_seed
from dvae_core.selection.study import read_study_run
from dvae_core.training.extension import extend_run
from dvae_core.training.trainer import train
from tests.onnx import graphs

Files = dict[str, Path]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return saved(tmp_path, encoder=graphs.encoder((3, 3)), decoder=graphs.decoder(3))


def saved(folder: Path, **models: onnx.ModelProto) -> Files:
    for part, model in models.items():
        (folder / f"{part}.onnx").write_bytes(model.SerializeToString())
    return {part: folder / f"{part}.onnx" for part in models}


def imported(folder: Path, files: Files, **options: Any) -> Run:
    settings: dict[str, Any] = {"latents": "gaussian", "dataset": "circles"} | files | options
    return import_model(folder / "mine", **settings).run


def matrix(model: onnx.ModelProto, place: int = 0) -> np.ndarray:
    return numpy_helper.to_array(model.graph.initializer[place])


def test_an_import_that_fails_at_the_names_leaves_no_run(
    tmp_path: Path, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(onnx_import, "name_latents", full)
    with pytest.raises(OSError, match="No space left"):
        imported(tmp_path, files, latent_names=("a", "b", "c"))
    assert not (tmp_path / "mine").exists()


def test_a_run_of_files_from_elsewhere_is_one_like_any_other(tmp_path: Path, files: Files) -> None:
    run = imported(tmp_path, files)
    assert run.problem() is None
    assert run.has_model
    assert run.state() is State.FINISHED
    assert run.record.image_shape == (1, 32, 32)
    assert run.record.origin == "imported from encoder.onnx and decoder.onnx"
    config = json.loads((run.path / "config.json").read_text())
    assert config["imported"]["decoder"]["name"] == "decoder.onnx"
    assert len(config["imported"]["encoder"]["sha256"]) == 64
    assert not {"objective", "steps", "seed", "learning_rate"} & set(config)  # none of its affair


def test_codes_and_images_are_what_the_matrices_say(tmp_path: Path) -> None:
    encoder, decoder = graphs.encoder((3, 3)), graphs.decoder(3)
    model = imported(tmp_path, saved(tmp_path, encoder=encoder, decoder=decoder)).load_model()
    # 37: one whole part of a batch, and five single ones.
    images = torch.rand(37, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    posterior: Any = model.encode(images)
    flat = images.flatten(1).numpy()
    np.testing.assert_allclose(posterior.mean, flat @ matrix(encoder, 0), atol=1e-5)
    np.testing.assert_allclose(posterior.log_variance, flat @ matrix(encoder, 1), atol=1e-5)
    codes = posterior.mean
    expected = 1 / (1 + np.exp(-(codes.numpy() @ matrix(decoder))))
    np.testing.assert_allclose(model.decode_images(codes).flatten(1), expected, atol=1e-5)


@pytest.mark.parametrize("interleaved", [False, True])
def test_one_output_is_read_in_the_order_that_is_announced(
    tmp_path: Path, interleaved: bool
) -> None:
    encoder = graphs.encoder((6,))
    files = saved(tmp_path, encoder=encoder, decoder=graphs.decoder(3))
    model = imported(tmp_path, files, layout=OnnxLayout(interleaved=interleaved)).load_model()
    images = torch.rand(4, 1, 32, 32)
    posterior: Any = model.encode(images)
    said = images.flatten(1).numpy() @ matrix(encoder)
    mean = said[:, ::2] if interleaved else said[:, :3]
    log_variance = said[:, 1::2] if interleaved else said[:, 3:]
    np.testing.assert_allclose(posterior.mean, mean, atol=1e-5)
    np.testing.assert_allclose(posterior.log_variance, log_variance, atol=1e-5)


def test_signed_images_go_in_and_come_out(tmp_path: Path) -> None:
    encoder, decoder = graphs.encoder(), graphs.decoder(last="Tanh", scale=1.0)
    layout = OnnxLayout(encoder_input="signed", decoder_output="signed")
    files = saved(tmp_path, encoder=encoder, decoder=decoder)
    model = imported(tmp_path, files, layout=layout).load_model()
    images = torch.rand(4, 1, 32, 32)
    codes = model.encode(images).mean_code()
    signed = 2 * images.flatten(1).numpy() - 1
    np.testing.assert_allclose(codes, signed @ matrix(encoder), atol=1e-5)
    expected = (np.tanh(codes.numpy() @ matrix(decoder)) + 1) / 2
    np.testing.assert_allclose(model.decode_images(codes).flatten(1), expected, atol=1e-5)


def test_a_model_fixed_at_one_gives_the_same_as_a_free_one(tmp_path: Path, files: Files) -> None:
    free = imported(tmp_path, files).load_model()
    (tmp_path / "fixed").mkdir()
    models = {"encoder": graphs.encoder(batch=1), "decoder": graphs.decoder(batch=1)}
    fixed = imported(tmp_path / "fixed", saved(tmp_path / "fixed", **models)).load_model()
    images = torch.rand(40, 1, 32, 32)
    codes = free.encode(images).mean_code()
    torch.testing.assert_close(fixed.encode(images).mean_code(), codes)
    torch.testing.assert_close(fixed.decode(codes), free.decode(codes))


def test_categories_at_given_values_of_different_numbers(tmp_path: Path) -> None:
    values = [[-2.0, 0.0, 5.0], [0.0, 1.0]]
    files = saved(tmp_path, encoder=graphs.encoder((6,)), decoder=graphs.decoder(2))
    run = imported(tmp_path, files, latents="categorical", category_values=values)
    assert run.record.category_counts == (3, 2)
    model = run.load_model()
    assert [row.tolist() for row in traversal_rows(model)] == values
    assert set(model.latents.sample_prior(50)[:, 0].tolist()) == {-2.0, 0.0, 5.0}
    assert set(model.encode(torch.rand(9, 1, 32, 32)).mode_code()[:, 1].tolist()) <= {0.0, 1.0}


def test_every_metric_that_the_family_has_is_measured(tmp_path: Path) -> None:
    files = saved(tmp_path, encoder=graphs.encoder((10,), scale=0.1), decoder=graphs.decoder(2))
    run = imported(tmp_path, files, latents="categorical")
    dataset = load_dataset("circles", 32)
    settings = EvaluationSettings(points=256, test_points=128, gap_batches=2)
    evaluation = evaluate(
        run, dataset, "native", ("mig", "kl", "reconstruction", "straight_through_gap"), settings
    )
    scores = {score.name: score for score in evaluation.scores}
    assert "is not known" in scores.pop("sampled_kl").reason  # the noise of its training
    assert all(score.value is not None for score in scores.values())
    # Without an objective of its own the loss is the ELBO, whose KL is the same for both codes.
    gap, part = scores["straight_through_gap"], scores["straight_through_gap_reconstruction"]
    assert gap.value == pytest.approx(part.value)


def test_two_models_of_other_files_are_no_seeds_of_one_setting(tmp_path: Path) -> None:
    runs = []
    for scale in (0.1, 0.2):
        folder = tmp_path / str(scale)
        folder.mkdir()
        encoder, decoder = graphs.encoder((10,), scale=scale), graphs.decoder(2)
        files = saved(folder, encoder=encoder, decoder=decoder)
        runs.append(imported(folder, files, latents="categorical"))
    assert runs[0].record.used_settings == runs[1].record.used_settings
    assert same_but_seed(runs[0].record, map(read_study_run, runs)) == []
    scores = evaluate(runs[0], load_dataset("circles", 32), "native", ("udr",)).scores
    assert ["an imported model are unknown" in score.reason for score in scores] == [True]


def test_a_decoder_alone_is_slid_from_its_prior(tmp_path: Path, files: Files) -> None:
    run = imported(tmp_path, {"decoder": files["decoder"]})
    assert not run.record.has_encoder
    model = run.load_model()
    profile = latent_profile(model, None)
    assert profile.kl.tolist() == [0, 0, 0]
    heights = torch.distributions.Normal(0.0, 1.0).log_prob(torch.tensor(profile.values[0])).exp()
    np.testing.assert_allclose(profile.aggregate[0], heights, atol=1e-6)
    assert traverse_all(model, torch.zeros(3), traversal_rows(model))[0].shape[1:] == (1, 32, 32)
    with pytest.raises(ModelError, match="needs an encoder"):
        model.encode(torch.rand(1, 1, 32, 32))


def test_training_is_refused_in_words(
    tmp_path: Path, files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    run = imported(tmp_path, files)
    before = sorted(run.path.iterdir())
    with pytest.raises(RunError, match="is an imported model"):
        train(run)
    with pytest.raises(RunError, match="imported model"):
        extend_run(run, 100)
    assert main(["resume", str(run.path)]) == 2
    assert "imported model" in capsys.readouterr().err
    assert [p for p in sorted(run.path.iterdir()) if p.suffix != ".lock"] == before


@pytest.mark.parametrize(
    ("options", "error", "complaint"),
    [
        ({"dataset": "rooms"}, ModelError, "grey images, but rooms has RGB"),
        ({"dataset": "nowhere"}, CoreError, "no data set is called"),
        ({"category_values": [[0, 1]]}, ModelError, "Gaussian latents have no categories"),
        ({"latents": "categorical", "category_values": [[1, 0]]}, ConfigError, "ascend"),
        ({"latents": "categorical", "category_values": [[0, 1], [0, 1]]}, ModelError, "2 latents"),
        ({"latents": "categorical", "encoder": None}, ModelError, "number of categories"),
    ],
)
def test_what_does_not_go_together_is_refused_and_leaves_nothing(
    tmp_path: Path, files: Files, options: dict[str, Any], error: type[CoreError], complaint: str
) -> None:
    if options.get("latents") == "categorical":
        files |= saved(tmp_path, encoder=graphs.encoder((6,)))
    with pytest.raises(error, match=complaint):
        imported(tmp_path, files, **options)
    assert not (tmp_path / "mine").exists()
    assert not list(tmp_path.glob(".new-*"))


def test_a_name_is_used_once_and_stays_in_its_folder(
    tmp_path: Path,
    files: Files,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DVAE_RUNS", str(tmp_path / "runs"))
    arguments = ["--latents", "gaussian", "--dataset", "circles"]
    arguments += [text for part, path in files.items() for text in (f"--{part}", str(path))]
    assert main(["import-model", "--name", "mine", *arguments, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert answer["run"] == str(tmp_path / "runs" / "mine")
    for name, complaint in {"mine": "already exists", "../mine": "cannot name a run"}.items():
        assert main(["import-model", "--name", name, *arguments]) == 2
        assert complaint in capsys.readouterr().err


def test_an_exchanged_file_is_noticed(tmp_path: Path, files: Files) -> None:
    run = imported(tmp_path, files)
    (run.path / "decoder.onnx").write_bytes(graphs.decoder(3, scale=0.2).SerializeToString())
    with pytest.raises(ModelError, match="not those that were imported"):
        run.load_model()


def test_a_hostile_file_in_a_run_folder_is_looked_at_before_it_is_run(
    tmp_path: Path, files: Files
) -> None:
    """Whoever sends a run can write any hash into its config."""
    run = imported(tmp_path, files)
    decoder = graphs.decoder()
    decoder.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    graphs.insert(decoder, [graphs.loop_that_never_ends()], "still")
    content = decoder.SerializeToString()
    (run.path / "decoder.onnx").write_bytes(content)
    config = json.loads((run.path / "config.json").read_text())
    config["imported"]["decoder"]["sha256"] = hashlib.sha256(content).hexdigest()
    (run.path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="control flow"):
        Run(run.path).load_model()


def test_numbers_that_are_not_finite_later_are_one_line(tmp_path: Path) -> None:
    """Its logarithm is sound on the codes of the trial and not on those far out."""
    decoder = graphs.decoder()
    decoder.graph.initializer.append(numpy_helper.from_array(np.full((), 9.0, np.float32), "nine"))
    nodes = [
        helper.make_node("Add", ["codes", "nine"], ["moved"]),
        helper.make_node("Log", ["moved"], ["log"]),
    ]
    graphs.insert(decoder, nodes, "log")
    model = imported(tmp_path, saved(tmp_path, decoder=decoder)).load_model()
    with pytest.raises(ModelError, match=r"imported decoder failed: .* not finite"):
        model.decode(torch.full((1, 3), -9.5))


def test_a_missing_file_makes_the_run_damaged(tmp_path: Path, files: Files) -> None:
    run = imported(tmp_path, files)
    (run.path / "encoder.onnx").unlink()
    assert run.state() is State.DAMAGED
    assert "encoder.onnx is missing" in str(run.problem())
    assert not run.has_model


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ("[0, 0.5, 1]", [[0, 0.5, 1]]),
        ("[[0, 1], [-1, 0, 1]]", [[0, 1], [-1, 0, 1]]),
        ('{"latents": "categorical", "category_values": [[0, 1]]}', [[0, 1]]),
    ],
)
def test_lists_of_numbers_are_read(tmp_path: Path, content: str, rows: list[list[float]]) -> None:
    (tmp_path / "values.json").write_text(content)
    assert read_category_values(tmp_path / "values.json") == rows


@pytest.mark.parametrize(
    "content",
    ["", "no JSON", "{}", "[]", "[[]]", '["a"]', "[[0, 1], 2]", "[NaN, 1]", "[true, 2]", "7",
     "[0, 1" + "0" * 400 + "]", "[" * 100_000],
)  # fmt: skip
def test_anything_else_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "values.json").write_text(content)
    with pytest.raises(ModelError, match=r"values\.json"):
        read_category_values(tmp_path / "values.json")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read: No such file"):
        read_category_values(tmp_path / "nowhere.json")


def test_one_row_serves_all_latents() -> None:
    assert one_row_a_latent([[0, 1]], 3) == ((0, 1), (0, 1), (0, 1))
    assert one_row_a_latent([], 3) == ()
    with pytest.raises(ModelError, match="given for 2 latents, but the decoder takes 3"):
        one_row_a_latent([[0, 1], [0, 1]], 3)
