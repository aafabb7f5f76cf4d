import io
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from dvae_core.analysis.reconstruction import encode_image, read_image, reconstruct
from dvae_core.config import ModelConfig
from dvae_core.errors import DataError
from dvae_core.models.vae import VAE, build_model

SHAPE = (1, 32, 32)


@pytest.fixture(scope="module")
def model() -> VAE:
    config = ModelConfig(num_latents=2, num_categories=4)
    return build_model(config, SHAPE, torch.Generator().manual_seed(0)).eval()


def file_of(image: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def test_a_reconstruction_is_set_against_its_original(model: VAE) -> None:
    image = torch.rand(SHAPE, generator=torch.Generator().manual_seed(0))
    code = encode_image(model, image).mean_code()[0]
    back = reconstruct(model, image, code)
    torch.testing.assert_close(back.image, back.difference + image)
    p = back.image.double()
    expected = -(image * p.log() + (1 - image) * (1 - p).log()).sum().item()
    assert back.loss == pytest.approx(expected, rel=1e-4)


def test_an_image_that_fits_is_taken_as_it_is() -> None:
    pixels = np.arange(1024, dtype=np.uint8).reshape(32, 32)
    image, note = read_image(file_of(Image.fromarray(pixels)), SHAPE)
    assert note == ""
    np.testing.assert_allclose(image[0], pixels / 255, atol=1e-6)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_image_is_fitted_with_a_note(kind: str, channels: int) -> None:
    image, note = read_image(file_of(Image.new("RGB", (200, 100), "red"), kind), (channels, 32, 32))
    assert image.shape == (channels, 32, 32)
    assert "200 x 100 pixels are squashed to 32 x 32" in note


def huge_png() -> bytes:
    """A header that asks for four thousand million pixels in a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 65_000, 65_000, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 1000)
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no image",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        file_of(Image.effect_noise((40, 40), 90))[:600],
        file_of(Image.new("L", (40, 40)), "PPM"),
        huge_png(),
    ],
)
def test_what_is_no_image_is_refused_in_one_line(data: bytes) -> None:
    with pytest.raises(DataError, match=r"^[^\n]+$"):
        read_image(data, SHAPE)
