import io
from typing import Literal

import pytest
from PIL import Image, ImageSequence

from dvae_core.figures.animation import animation, there_and_back


def test_a_loop_turns_at_its_ends_once() -> None:
    assert there_and_back(4) == [0, 1, 2, 3, 2, 1]
    assert there_and_back(2) == [0, 1]
    assert there_and_back(1) == [0]


@pytest.mark.parametrize(
    ("kind", "fps", "milliseconds"), [("gif", 10, 100), ("gif", 30, 30), ("apng", 30, 33)]
)
def test_an_animation_loops_for_ever_at_its_speed(
    kind: Literal["gif", "apng"], fps: int, milliseconds: int
) -> None:
    frames = [Image.new("RGB", (12, 8), (60 * place, 0, 0)) for place in range(4)]
    with Image.open(io.BytesIO(animation(frames, fps, kind))) as image:
        assert image.size == (12, 8)
        assert len(list(ImageSequence.Iterator(image))) == 4
        assert image.info["loop"] == 0
        for place in range(4):
            image.seek(place)
            assert image.info["duration"] == milliseconds
            assert image.convert("RGB").getpixel((5, 5)) == (60 * place, 0, 0)
