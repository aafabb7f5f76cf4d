"""Every recipe of docs/models.md, run as it stands on a model like those it is for."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dvae_core.__main__ import main
from dvae_core.data import load_dataset
from dvae_core.runs.run import Run
from tests.exchange import elsewhere
from tests.exchange.elsewhere import made, pretend_module

DOCUMENT = Path(__file__).parents[2] / "docs" / "models.md"
BLOCK = r"```python\n(.*?)```"
Codec = Callable[[Tensor], Any]

# The exporter warns of its own deprecations.
pytestmark = pytest.mark.filterwarnings("ignore")


def recipe(name: str) -> tuple[str, list[str]]:
    """A recipe's script, and the arguments of the command that follows it."""
    text = DOCUMENT.read_text().partition(f"<!-- recipe: {name} -->")[2]
    script = re.search(BLOCK, text, re.DOTALL)
    command = re.search(r"python -m dvae_core (import-model .*?)\n\n", text, re.DOTALL)
    assert script
    assert command
    return script[1], shlex.split(command[1].replace("\\\n", " "))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVAE_RUNS", str(tmp_path / "runs"))
    helper = re.search(r"<!-- file: onnx_export.py -->\n" + BLOCK, DOCUMENT.read_text(), re.DOTALL)
    assert helper
    namespace: dict[str, Any] = {}
    exec(helper[1], namespace)
    pretend_module(monkeypatch, "onnx_export", save=namespace["save"])
    return tmp_path


def follow(name: str, folder: Path) -> Run:
    """Run script and command of a recipe; the run that comes of them."""
    script, command = recipe(name)
    exec(script, {"__name__": "recipe"})
    assert main(command) == 0
    return Run(folder / "runs" / command[command.index("--name") + 1])


@torch.inference_mode()
def assert_same(run: Run, encode: Codec, decode: Codec) -> None:
    """The run says the same as the model: mean, log variance, and the image of the mean."""
    images = load_dataset(run.record.dataset, run.record.image_size).sample_images(
        40, torch.Generator().manual_seed(1)
    )
    model = run.load_model()
    posterior: Any = model.encode(images)
    mean, log_variance = encode(images)
    torch.testing.assert_close(posterior.mean, mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(posterior.log_variance, log_variance, rtol=1e-4, atol=1e-5)
    assert mean.std(0).min() > 1e-3  # else nothing was compared
    torch.testing.assert_close(model.decode_images(mean), decode(mean), rtol=1e-4, atol=1e-5)


def test_a_plain_vae(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = made(elsewhere.Plain())
    pretend_module(monkeypatch, "my_vae", load_my_vae=lambda: model)
    assert_same(follow("plain", folder), model.encode, lambda z: model.decode(z).sigmoid())


def test_disentangling_vae(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = made(elsewhere.Disentangling())
    pretend_module(monkeypatch, "disvae.utils.modelIO", load_model=lambda directory, is_gpu: model)
    assert_same(follow("disentangling-vae", folder), model.encoder, model.decoder)


def test_pytorch_vae(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = made(elsewhere.VanillaVAE(3, 10))
    weights = {f"model.{key}": value for key, value in model.state_dict().items()}
    torch.save({"state_dict": weights}, folder / "last.ckpt")
    pretend_module(monkeypatch, "models", VanillaVAE=elsewhere.VanillaVAE)
    assert_same(
        follow("pytorch-vae", folder),
        lambda images: model.encode(2 * images - 1),
        lambda z: (model.decode(z) + 1) / 2,
    )


def test_pythae(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = made(elsewhere.Pythae())
    pretend_module(
        monkeypatch,
        "pythae.models",
        AutoModel=SimpleNamespace(load_from_folder=lambda path: model),
    )
    assert_same(
        follow("pythae", folder),
        lambda x: tuple(model.encoder(x).values()),
        lambda z: model.decoder(z)["reconstruction"],
    )


def test_disent(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = made(elsewhere.Disent())
    pretend_module(monkeypatch, "train", model=model)
    assert_same(
        follow("disent", folder),
        lambda x: model.encode(x, chunk=True),
        lambda z: model.decode(z).sigmoid(),
    )


def test_a_layer_of_interleaved_pairs(folder: Path) -> None:
    from onnx_export import save  # type: ignore[import-not-found]

    model = made(elsewhere.Disentangling())
    images = torch.zeros(2, 1, 32, 32)
    save("encoder.onnx", model, lambda m, x: m.encoder.pairs(x), images)
    save("decoder.onnx", model, lambda m, z: m.decoder(z), torch.zeros(2, 10))
    command = "import-model --name pairs --encoder encoder.onnx --decoder decoder.onnx --latents"
    assert main([*command.split(), "gaussian", "--dataset", "circles", "--interleaved"]) == 0
    assert_same(Run(folder / "runs" / "pairs"), model.encoder, model.decoder)


@pytest.mark.parametrize(
    ("size", "dataset"),
    [pytest.param(128, "rooms", marks=pytest.mark.slow), (48, "circles")],
)
def test_sizes_that_no_data_set_has(folder: Path, size: int, dataset: str) -> None:
    from onnx_export import save

    channels = load_dataset(dataset).image_shape[0]
    model = made(elsewhere.Plain((channels, size, size), 4))
    save("encoder.onnx", model, lambda m, x: m.encode(x), torch.zeros(2, channels, size, size))
    save("decoder.onnx", model, lambda m, z: m.decode(z).sigmoid(), torch.zeros(2, 4))
    command = "import-model --name sized --encoder encoder.onnx --decoder decoder.onnx --latents"
    assert main([*command.split(), "gaussian", "--dataset", dataset]) == 0
    run = Run(folder / "runs" / "sized")
    assert run.record.image_shape == (channels, size, size)
    assert_same(run, model.encode, lambda z: model.decode(z).sigmoid())


def test_the_table_of_what_does_not_fit(folder: Path) -> None:
    """A grey decoder of one-hot categories on an RGB set, and an encoder of 28x28 grey images."""
    from onnx_export import save

    num_categories = 5

    class Categorical(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.Linear(28 * 28, 3 * num_categories)
            self.decoder = nn.Linear(3 * num_categories, 28 * 28)

        def encode(self, images: Tensor) -> Tensor:
            return self.encoder(images.flatten(1)).unflatten(1, (3, num_categories))

        def decode(self, one_hot: Tensor) -> Tensor:
            return self.decoder(one_hot.flatten(1)).sigmoid().unflatten(1, (1, 28, 28))

    def encode(m: Categorical, images: Tensor) -> Tensor:
        grey = images.mean(1, keepdim=True)
        return m.encode(nn.functional.interpolate(grey, (28, 28), mode="bilinear"))

    def decode(m: Categorical, codes: Tensor) -> Tensor:
        categories = ((codes + 1) / 2 * (num_categories - 1)).round().long()
        one_hot = nn.functional.one_hot(categories.clamp(0, num_categories - 1), num_categories)
        images = nn.functional.interpolate(m.decode(one_hot.float()), (32, 32), mode="bilinear")
        return images.expand(-1, 3, -1, -1)

    model = made(Categorical())
    save("encoder.onnx", model, encode, torch.zeros(2, 3, 32, 32))
    save("decoder.onnx", model, decode, torch.zeros(2, 3))
    command = "import-model --name odd --encoder encoder.onnx --decoder decoder.onnx --latents"
    assert main([*command.split(), "categorical", "--dataset", "rooms"]) == 0
    run = Run(folder / "runs" / "odd")
    assert run.record.num_categories == num_categories
    images = load_dataset("rooms", 32).sample_images(8, torch.Generator().manual_seed(0))
    with torch.inference_mode():
        posterior: Any = run.load_model().encode(images)
        torch.testing.assert_close(posterior.logits, encode(model, images), rtol=1e-4, atol=1e-5)
        codes = posterior.mode_code()
        decoded = run.load_model().decode_images(codes)
        torch.testing.assert_close(decoded, decode(model, codes), rtol=1e-4, atol=1e-5)
