import dataclasses
import io
import json
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dvae_core.analysis import encoded as module
from dvae_core.analysis.encoded import (
    EncodedSet,
    cached_encoded_set,
    draw_encoded,
    encode_set,
    images_of,
    read_encoded_set,
)
from dvae_core.analysis.latent_profile import latent_profile
from dvae_core.config import ModelConfig
from dvae_core.data.dataset import Dataset
from dvae_core.data.procedural.circles import Circles, ContinuousCircles
from dvae_core.data.stored import ByteImages, UnlabelledDataset
from dvae_core.errors import DataError, EvaluationError, ModelError
from dvae_core.evaluation.latent_statistics import latent_statistics
from dvae_core.exchange.onnx_import import import_model
from dvae_core.models.latents import CategoricalLatents, CategoricalPosterior
from dvae_core.models.vae import VAE, build_model
from dvae_core.runs.run import Run
from tests.analysis.made import made_set
from tests.onnx import graphs

CONFIGS = {
    "categorical": ModelConfig(num_latents=3, num_categories=6, cardinalities=(2, 4)),
    "gaussian": ModelConfig(latents="gaussian", num_latents=3),
}


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DVAE_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def model_of(family: str) -> VAE:
    generator = torch.Generator().manual_seed(0)
    return build_model(CONFIGS[family], (1, 32, 32), generator).eval()


@pytest.fixture
def circles() -> Dataset:
    return Circles(32)


def assert_equal(left: EncodedSet, right: EncodedSet) -> None:
    for field in dataclasses.fields(EncodedSet):
        found, expected = getattr(left, field.name), getattr(right, field.name)
        if isinstance(expected, np.ndarray):
            assert found.dtype == expected.dtype, field.name
            np.testing.assert_array_equal(found, expected, err_msg=field.name)
        else:
            assert found == expected, field.name


@pytest.mark.parametrize("family", CONFIGS)
@torch.inference_mode()
def test_each_row_is_what_the_model_makes_of_its_image(family: str, circles: Dataset) -> None:
    model = model_of(family)
    found = encode_set(model, circles, 200, seed=3)
    for row in (0, 77, 199):
        number = torch.tensor([found.numbers[row]])
        image = circles.images_at(number)
        posterior = model.encode(image)
        np.testing.assert_array_equal(found.factors[row], circles.factors_at(number)[0])
        np.testing.assert_allclose(found.codes[row], posterior.mean_code()[0], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found.kl[row], posterior.kl()[0], rtol=1e-4, atol=1e-5)
        variance = posterior.code_variance()[0]
        np.testing.assert_allclose(found.deviations[row] ** 2, variance, rtol=1e-4, atol=1e-5)
        shown = model.decode_images(posterior.mean_code()).double()
        loss = -(image * shown.log() + (1 - image) * (1 - shown).log()).sum()
        assert found.losses[row] == pytest.approx(loss.item(), rel=1e-4)
        if isinstance(posterior, CategoricalPosterior):
            assert found.categories is not None
            assert found.probabilities is not None
            np.testing.assert_array_equal(found.categories[row], posterior.discrete_code()[0])
            highest = posterior.logits.softmax(-1).amax(-1)[0]
            np.testing.assert_allclose(found.probabilities[row], highest, rtol=1e-4, atol=1e-5)
        else:
            assert found.categories is None
            assert found.probabilities is None


def test_a_sample_holds_each_image_once_and_says_how_many_there_are(circles: Dataset) -> None:
    model = model_of("gaussian")
    found = encode_set(model, circles, 300, seed=1)
    assert len(set(found.numbers.tolist())) == len(found) == 300
    assert found.is_sample
    assert found.num_images == 1024
    assert_equal(encode_set(model, circles, 300, seed=1), found)
    assert set(encode_set(model, circles, 300, seed=2).numbers) != set(found.numbers)
    everything = encode_set(model, circles)
    assert sorted(everything.numbers) == list(range(1024))
    assert not everything.is_sample


class Many(Dataset):
    """A million images without factors, none of which is stored."""

    name, factor_names, factor_sizes = "many", (), ()
    image_shape = (1, 32, 32)
    device = torch.device("cpu")
    largest_batch = 0

    def __len__(self) -> int:
        return 1_000_000

    def factors_at(self, indices: Tensor) -> Tensor:
        return torch.empty(len(indices), 0, dtype=torch.int64)

    def images_at(self, indices: Tensor, generator: torch.Generator | None = None) -> Tensor:
        self.largest_batch = max(self.largest_batch, len(indices))
        return (indices.float() / 1e6)[:, None, None, None].expand(-1, *self.image_shape)

    def _draw(self, factors: Tensor, generator: torch.Generator | None) -> Tensor:
        raise AssertionError


def test_a_million_images_are_sampled_in_batches() -> None:
    many = Many()
    found = encode_set(model_of("gaussian"), many, 400)
    assert (len(found), found.num_images, found.factors.shape) == (400, 1_000_000, (400, 0))
    assert found.numbers.max() > 900_000
    assert many.largest_batch == 128


def test_all_images_are_as_many_as_the_memory_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 4_800)
    found = encode_set(model_of("gaussian"), Many(), None)
    assert len(found) == 4_800 // (8 + 3 * 4 * 3 + 4)
    with pytest.raises(EvaluationError, match="count is 101, but must be from 1 to 100"):
        encode_set(model_of("gaussian"), Many(), 101)


def test_stopping_leaves_a_smaller_sample(circles: Dataset) -> None:
    model = model_of("categorical")
    steps: list[tuple[int, int]] = []
    whole = encode_set(model, circles, 500, progress=lambda *step: steps.append(step))
    assert steps == [(0, 500), (128, 500), (256, 500), (384, 500), (500, 500)]
    answers = iter([False, True])
    part = encode_set(model, circles, 500, should_stop=lambda: next(answers))
    assert len(part) == 256
    np.testing.assert_array_equal(part.codes, whole.codes[:256])
    assert part.categories is not None
    assert part.categories.base is None  # holds no memory of the rest


@pytest.mark.parametrize("noisy", [False, True])
def test_the_encoded_images_are_drawn_again(noisy: bool) -> None:
    dataset = ContinuousCircles(32) if noisy else Circles(32)
    model = model_of("gaussian")
    found = encode_set(model, dataset, 300)
    rows = [280, 5, 130, 5]
    images = images_of(dataset, found, rows)
    with torch.inference_mode():
        codes = model.encode(images).mean_code()
    np.testing.assert_allclose(codes, found.codes[rows], rtol=1e-4, atol=1e-5)
    assert images_of(dataset, found, []).shape == (0, 1, 32, 32)
    seen = [row for rows, _ in draw_encoded(dataset, found, range(300)) for row in rows]
    assert seen == list(range(300))


def test_images_of_another_set_or_row_are_refused(circles: Dataset) -> None:
    found = encode_set(model_of("gaussian"), circles, 50)
    with pytest.raises(EvaluationError, match="1,000,000"):
        images_of(Many(), found, [0])
    with pytest.raises(EvaluationError, match="rows are 3 to 50, but must be from 0 to 49"):
        images_of(circles, found, [50, 3])


def test_a_set_without_factors_is_encoded(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (150, 32, 32, 1), np.uint8)
    images = ByteImages(pixels, 32, torch.device("cpu"))
    dataset = UnlabelledDataset("mine", images, 150, torch.device("cpu"))
    found = encode_set(model_of("gaussian"), dataset)
    assert found.factors.shape == (150, 0)
    found.save(tmp_path / "set.npz")
    assert_equal(read_encoded_set(tmp_path / "set.npz"), found)


def test_what_cannot_be_encoded_is_refused(circles: Dataset) -> None:
    model = model_of("gaussian")
    with pytest.raises(EvaluationError, match="needs a data set"):
        encode_set(model, None)
    with pytest.raises(EvaluationError, match=r"images of circles are \(1, 64, 64\)"):
        encode_set(model, Circles(64))
    with pytest.raises(EvaluationError, match="count is 0"):
        encode_set(model, circles, 0)
    with pytest.raises(EvaluationError, match="seed is -1"):
        encode_set(model, circles, 10, seed=-1)
    nn.init.constant_(next(model.decoder.parameters()), float("nan"))
    with pytest.raises(EvaluationError, match="losses of the images are not finite"):
        encode_set(model, circles, 10)


def test_an_imported_model_is_encoded_and_a_decoder_alone_refused(
    tmp_path: Path, circles: Dataset
) -> None:
    for part, graph in (("encoder", graphs.encoder((3, 3))), ("decoder", graphs.decoder(3))):
        (tmp_path / f"{part}.onnx").write_bytes(graph.SerializeToString())
    settings: dict[str, Any] = {"latents": "gaussian", "dataset": "circles"}
    paths = tmp_path / "decoder.onnx", tmp_path / "encoder.onnx"
    run = import_model(tmp_path / "mine", *paths, **settings).run
    found = cached_encoded_set(run, circles, 64)
    assert found.codes.shape == (64, 3)
    assert_equal(cached_encoded_set(run, circles, 64), found)
    alone = import_model(tmp_path / "alone", paths[0], None, **settings).run
    with pytest.raises(ModelError, match="needs an encoder"):
        cached_encoded_set(alone, circles, 64)


@pytest.mark.parametrize("family", CONFIGS)
def test_a_set_survives_its_file(tmp_path: Path, family: str, circles: Dataset) -> None:
    found = encode_set(model_of(family), circles, 100)
    path = tmp_path / "set.npz"
    found.save(path)
    assert_equal(read_encoded_set(path, found.origin), found)
    with np.load(path, allow_pickle=False) as file:
        assert "codes" in file.files


def test_a_file_of_another_origin_is_refused(tmp_path: Path, circles: Dataset) -> None:
    found = encode_set(model_of("gaussian"), circles, 20)
    path = tmp_path / "set.npz"
    found.save(path)
    for change, message in (
        ({"dataset": "rooms"}, "the data set circles, not rooms"),
        ({"images": "f" * 64}, "circles with other images"),
        ({"step": 7}, "step 0, not 7"),
        ({"weights": "f" * 64}, "other weights"),
        ({"count": 30}, "20 images with seed 0, not 30 with seed 0"),
    ):
        with pytest.raises(DataError, match=message) as raised:
            read_encoded_set(path, found.origin.model_copy(update=change))
        assert "\n" not in str(raised.value)


def rewritten(path: Path, **arrays: Any) -> None:
    """The file with other arrays, and with other fields of its header where it is a dictionary."""
    with np.load(path) as file:
        content = {name: file[name] for name in file.files}
    if isinstance(changes := arrays.pop("header", None), dict):
        header = json.loads(content["header"].tobytes()) | changes
        content["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    content |= arrays
    np.savez(path, **{name: array for name, array in content.items() if array is not None})


DAMAGE: dict[str, dict[str, Any]] = {
    "missing": {"codes": None},
    "header: rows": {"header": {"rows": None}},
    "codes is float64": {"codes": np.zeros((20, 3))},
    "codes is float32 [(]20, 2[)]": {"codes": np.zeros((20, 2), np.float32)},
    "losses holds numbers that are not finite": {"losses": np.full(20, np.nan, np.float32)},
    "numbers are out of range": {"numbers": np.arange(20) + 1010},
    "numbers hold an image twice": {"numbers": np.zeros(20, np.int64)},
    "factors are out of range": {"factors": np.full((20, 2), 32)},
    "categories are out of range": {"categories": np.full((20, 3), 2, np.int32)},
    "its arrays have more than 256 MB": {"header": {"rows": 10**7}},
    "not int64 [(]21,[)]": {"header": {"rows": 21}},
    "1 names for 2 factors": {"header": {"factor_names": ["x"]}},
    "1 numbers of categories for 3": {"header": {"category_counts": [2]}},
    "20 of 20 of 19 images": {"header": {"num_images": 19}},
    "header: extra": {"header": {"extra": 1}},
    "header: format_version": {"header": {"format_version": 1}},
}


@pytest.mark.parametrize("message", DAMAGE)
def test_a_damaged_file_is_one_clear_line(tmp_path: Path, circles: Dataset, message: str) -> None:
    path = tmp_path / "set.npz"
    encode_set(model_of("categorical"), circles, 20).save(path)
    rewritten(path, **DAMAGE[message])
    with pytest.raises(DataError, match=f"is damaged .*{message}") as raised:
        read_encoded_set(path)
    assert "\n" not in str(raised.value)


def test_bytes_that_are_no_such_file_are_refused(tmp_path: Path, circles: Dataset) -> None:
    path = tmp_path / "set.npz"
    with pytest.raises(DataError, match="missing"):
        read_encoded_set(path)
    encode_set(model_of("gaussian"), circles, 20).save(path)
    sound = path.read_bytes()
    for content in (b"", b"PK", sound[:-50], sound[:700] + b"?" * 50 + sound[750:]):
        path.write_bytes(content)
        with pytest.raises(DataError, match="is damaged"):
            read_encoded_set(path)
    # A pickle is never opened.
    objects = io.BytesIO()
    np.save(objects, np.array([{}], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("header.npy", objects.getvalue())
    with pytest.raises(DataError, match=r"is damaged .*object"):
        read_encoded_set(path)


def test_any_changed_byte_is_noticed_or_harmless(tmp_path: Path, circles: Dataset) -> None:
    path = tmp_path / "set.npz"
    found = encode_set(model_of("categorical"), circles, 10)
    found.save(path)
    sound = path.read_bytes()
    draw = np.random.default_rng(0)
    refused = 0
    for place, value in zip(
        draw.integers(0, len(sound), 300), draw.integers(1, 256, 300), strict=True
    ):
        changed = bytearray(sound)
        changed[place] ^= value
        path.write_bytes(changed)
        try:
            assert_equal(read_encoded_set(path, found.origin), found)
        except DataError:
            refused += 1
    assert refused > 150


def test_the_cache_encodes_once(
    tiny_run: Run, circles: Dataset, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = cached_encoded_set(tiny_run, circles, 60)
    assert first.origin.step == tiny_run.status().step == 12
    [path] = (data_folder / "cache" / "encoded").iterdir()
    with monkeypatch.context() as patched:
        patched.setattr(module, "_encode", None)  # not called
        assert_equal(cached_encoded_set(tiny_run, circles, 60), first)
    path.write_bytes(path.read_bytes()[:-10])
    assert_equal(cached_encoded_set(tiny_run, circles, 60), first)
    assert_equal(read_encoded_set(path), first)  # written again


def test_the_cache_tells_other_weights_counts_and_seeds_apart(
    tiny_run: Run, circles: Dataset, data_folder: Path
) -> None:
    first = cached_encoded_set(tiny_run, circles, 60)
    cached_encoded_set(tiny_run, circles, 61)
    cached_encoded_set(tiny_run, circles, 60, seed=1)
    model = tiny_run.load_model()
    nn.init.zeros_(next(model.decoder.parameters()))
    tiny_run.save_model(model, tiny_run.weights_step())
    other = cached_encoded_set(tiny_run, circles, 60)
    assert (other.losses != first.losses).any()
    assert len(list((data_folder / "cache" / "encoded").iterdir())) == 4


def test_the_cache_tells_apart_how_the_same_weights_are_drawn(
    tiny_run: Run, circles: Dataset
) -> None:
    model = tiny_run.load_model()
    sampled = encode_set(model, circles, 20)
    assert isinstance(model.latents, CategoricalLatents)
    model.latents.choices = dataclasses.replace(model.latents.choices, draws="nearest")
    nearest = encode_set(model, circles, 20)
    assert nearest.origin.weights != sampled.origin.weights
    assert (nearest.codes != sampled.codes).any()


def test_a_stopped_set_is_not_kept(tiny_run: Run, circles: Dataset, data_folder: Path) -> None:
    assert len(cached_encoded_set(tiny_run, circles, 300, should_stop=lambda: True)) == 128
    assert not (data_folder / "cache" / "encoded").exists()


def test_a_cache_that_cannot_be_written_costs_no_result(
    tiny_run: Run, circles: Dataset, data_folder: Path
) -> None:
    data_folder.write_text("no folder")
    assert len(cached_encoded_set(tiny_run, circles, 60)) == 60


def test_the_cache_deletes_the_sets_used_least_recently(
    tiny_run: Run, circles: Dataset, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = data_folder / "cache" / "encoded"
    cached_encoded_set(tiny_run, circles, 60, seed=0)
    [oldest] = folder.iterdir()
    size = oldest.stat().st_size
    monkeypatch.setattr(module, "MAX_CACHE_BYTES", 2 * size + 100)
    cached_encoded_set(tiny_run, circles, 60, seed=1)
    cached_encoded_set(tiny_run, circles, 60, seed=0)  # used again
    cached_encoded_set(tiny_run, circles, 60, seed=2)
    left = {read_encoded_set(path).origin.seed for path in folder.iterdir()}
    assert left == {0, 2}


def test_inactive_and_constant_latents_have_no_scale() -> None:
    codes = [[0.0, 5.0, 1.0], [2.0, 5.0, 3.0]]
    found = made_set(codes, kl=[1.0, 1.0, 0.01])
    np.testing.assert_array_equal(found.active, [True, True, False])
    np.testing.assert_allclose(found.spread, [1.0, 0.0, 1.0])
    np.testing.assert_allclose(found.scaled_codes(), [[0, 0, 0], [2, 0, 0]])


def test_a_latent_stuck_in_one_category_is_inactive(
    circles: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its KL is ln K, and it says nothing. The next one says on which side the disc is."""
    model = model_of("categorical")  # K = 2, 4, 6

    def encode(images: Tensor) -> CategoricalPosterior:
        posterior = VAE.encode(model, images)
        assert isinstance(posterior, CategoricalPosterior)
        logits = posterior.logits.clone()
        logits[:, 0, :2] = torch.tensor([50.0, 0.0])
        side = images[..., :16].sum((1, 2, 3)) - images[..., 16:].sum((1, 2, 3))
        logits[:, 1, 0] = 50 * side.sign()
        return dataclasses.replace(posterior, logits=logits)

    monkeypatch.setattr(model, "encode", encode)
    encoded = encode_set(model, circles, 400)
    assert encoded.mean_kl[0] == pytest.approx(math.log(2), abs=1e-3)
    assert encoded.active[:2].tolist() == [False, True]
    assert encoded.part(np.arange(5)).active.tolist() == encoded.active.tolist()
    assert latent_profile(model, circles).active.tolist() == encoded.active.tolist()
    assert latent_statistics(model, circles, 400, 0).active.tolist() == encoded.active.tolist()
