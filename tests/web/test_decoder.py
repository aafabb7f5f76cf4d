"""The packed decoder, read again by the layout that its module describes."""

import json
import re
import shutil
import subprocess
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from dvae_core.config import ModelConfig
from dvae_core.errors import ModelError
from dvae_core.models.networks import Decoder
from dvae_core.models.vae import VAE, build_model
from dvae_core.runs.catalog import SHIPPED_ROOT, list_runs
from dvae_core.web.decoder import pack_decoder
from dvae_core.web.scripts import FOLDER, decoder_script

SHIPPED = [run for run in list_runs(SHIPPED_ROOT) if run.has_model]


def made_model(image_shape: tuple[int, int, int], num_latents: int = 3) -> VAE:
    generator = torch.Generator().manual_seed(0)
    model = build_model(ModelConfig(num_latents=num_latents), image_shape, generator)
    with torch.no_grad():
        for name, parameter in model.decoder.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(std=0.1, generator=generator)
            else:
                parameter.mul_(3)  # else all pixels are grey
    return model.requires_grad_(False).eval()


def read(packed: bytes) -> tuple[dict[str, Any], bytes]:
    """The header and the layers."""
    start = 16 + int.from_bytes(packed[12:16], "little")
    return json.loads(packed[16:start]), packed[start:]


def decode(packed: bytes, codes: Tensor) -> Tensor:
    """Images (B, C, H, W) of codes (B, N), by sums over the layout alone."""
    header, layers = read(packed)
    channels, offset = header["image_shape"][0], 0

    def take(outputs: int, inputs: int, repeats: int = 1) -> tuple[Tensor, Tensor, Tensor]:
        nonlocal offset
        parts: list[NDArray[Any]] = []
        weights = repeats * inputs * outputs
        for kind, count in (("<f4", outputs), ("<f4", repeats * outputs), ("<i2", weights)):
            parts.append(np.frombuffer(layers, kind, count, offset))
            offset += parts[-1].nbytes
        bias, scales, integers = (torch.tensor(part.astype(np.float32)) for part in parts)
        return bias, scales, integers

    def linear(inputs: Tensor, outputs: int) -> Tensor:
        bias, scales, integers = take(outputs, inputs.shape[1])
        weights = integers.view(-1, inputs.shape[1], 8).permute(0, 2, 1).flatten(0, 1)
        return (inputs @ (weights * scales[:, None]).T + bias).relu()

    hidden = linear(codes, header["hidden"])
    maps = linear(hidden, 16 * header["widths"][0]).view(len(codes), 4, 4, -1).permute(0, 3, 1, 2)
    for width, width_out in zip(header["widths"], header["widths"][1:], strict=False):
        bias, scales, integers = take(width_out, 4 * width, repeats=4)
        # (a, b, outputs / 8, p, q, inputs, 8) -> (a, b, outputs, inputs, p, q)
        weights = integers.view(2, 2, -1, 2, 2, width, 8).permute(0, 1, 2, 6, 5, 3, 4).flatten(2, 3)
        weights = weights * scales.view(2, 2, -1, 1, 1, 1)
        size = maps.shape[-1]
        doubled = torch.empty(len(codes), width_out, 2 * size, 2 * size)
        for a in (0, 1):
            for b in (0, 1):
                padded = F.pad(maps, (1 - b, b, 1 - a, a))
                doubled[:, :, a::2, b::2] = F.conv2d(padded, weights[a, b], bias).relu()
        maps = doubled
    width = header["widths"][-1]
    bias, scales, integers = take(4 * channels, 4 * width)
    weights = integers.view(2, 2, width, -1).permute(3, 2, 0, 1) * scales.view(-1, 1, 1, 1)
    blocks = F.conv2d(maps, weights, bias, padding=1)
    assert offset == len(layers)
    return F.pixel_shuffle(blocks, 2)[..., 1:-1, 1:-1].sigmoid()


@pytest.mark.parametrize("image_shape", [(1, 32, 32), (3, 64, 64), (1, 128, 128)], ids=str)
def test_the_layout_is_the_one_described(image_shape: tuple[int, int, int]) -> None:
    model = made_model(image_shape)
    codes = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    images = decode(pack_decoder(model), codes)
    torch.testing.assert_close(images, model.decode_images(codes), rtol=0, atol=1e-3)
    assert images.std() > 0.1


@pytest.mark.parametrize("run", SHIPPED, ids=lambda run: run.id)
def test_shipped_runs_lose_less_than_half_a_step_of_a_pixel(run: Any) -> None:
    model = run.load_model()
    generator = torch.Generator().manual_seed(0)
    codes = torch.cat([model.prior().sample(generator) for _ in range(12)])
    for latent in range(codes.shape[1]):
        values = model.latents.traversal_values(latent)
        codes = torch.cat([codes, codes[:2]])
        codes[-2:, latent] = values[[0, -1]]
    with torch.inference_mode():
        error = (decode(pack_decoder(model), codes) - model.decode_images(codes)).abs().max()
    assert error < 0.5 / 255


def test_the_header_says_what_the_layers_are() -> None:
    packed = pack_decoder(made_model((3, 64, 64), num_latents=7))
    header, layers = read(packed)
    assert header == {
        "image_shape": [3, 64, 64],
        "num_latents": 7,
        "hidden": 256,
        "widths": [64, 64, 32, 32],
    }
    assert zlib.crc32(packed[12:]).to_bytes(4, "little") == packed[8:12]
    assert len(layers) < 800_000


def test_decoders_of_others_are_refused() -> None:
    model = made_model((1, 32, 32))

    class Turned(Decoder):
        pass

    for decoder in (nn.Linear(3, 3), Turned((1, 32, 32), 3)):
        model.decoder = decoder
        with pytest.raises(ModelError, match="cannot run in a browser: show its images from the"):
            pack_decoder(model)


def test_weights_that_are_not_finite_are_refused() -> None:
    model = made_model((1, 32, 32))
    next(model.decoder.parameters())[0] = torch.inf
    with pytest.raises(ModelError, match="not finite"):
        pack_decoder(model)


def test_weights_of_zero_stay_zero() -> None:
    model = made_model((1, 32, 32))
    for parameter in model.decoder.parameters():
        parameter.zero_()
    assert (decode(pack_decoder(model), torch.ones(1, 3)) == 0.5).all()


def test_the_script_needs_nothing_beside_itself() -> None:
    script = decoder_script()
    assert not re.search("@[A-Z]+@", script)
    for word in ("import ", "export ", "fetch(", "require(", "</script"):
        assert word not in "\n".join(line.partition("//")[0] for line in script.splitlines()), word


def test_the_kernel_is_what_its_source_compiles_to(tmp_path: Path) -> None:
    """Compilers differ, so only the one that compiled the kernel can tell."""
    if not shutil.which("clang") or not shutil.which("wasm-ld"):
        pytest.skip("clang and lld are not installed")
    version = subprocess.run(["clang", "--version"], capture_output=True, text=True).stdout
    if " 14." not in version:
        pytest.skip(f"the kernel was compiled by clang 14, and this is {version.splitlines()[0]}")
    source = (FOLDER / "decoder_kernel.c").read_text()
    lines = [line.removeprefix("//").strip(" \\") for line in source.splitlines()]
    first = next(i for i, line in enumerate(lines) if line.startswith("clang"))
    command = " ".join(lines[first : first + 2]).split()
    shutil.copy(FOLDER / "decoder_kernel.c", tmp_path)
    subprocess.run(command, cwd=tmp_path, check=True)
    built = (tmp_path / "decoder_kernel.wasm").read_bytes()
    assert built == (FOLDER / "decoder_kernel.wasm").read_bytes()
