from collections.abc import Iterator
from pathlib import Path

import pytest

from dvae_core.figures import fonts
from dvae_core.figures.fonts import BASE_FONT, text_runs, text_width, undrawable


@pytest.fixture(autouse=True)
def no_other_fonts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine that has the base font alone."""
    monkeypatch.setattr(fonts, "_found", lambda: ())
    fonts._font_of.cache_clear()
    yield
    fonts._font_of.cache_clear()


def test_latin_letters_are_drawn_everywhere() -> None:
    assert text_runs("Größe · −1 …") == [(BASE_FONT, "Größe · −1 …")]
    assert undrawable(["Größe", "e\u0301"]) == ""  # an accent that joins its letter


def test_characters_without_a_font_become_question_marks_and_are_told_once() -> None:
    assert text_runs("壁 hue 壁") == [(BASE_FONT, "? hue ?")]
    assert undrawable(["壁 hue", "色壁"]) == "壁色"


def test_another_font_of_the_machine_draws_what_the_base_font_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, broken = tmp_path / "wqy-zenhei.ttc", tmp_path / "DejaVuSans.ttf"
    broken.write_bytes(b"no font")
    known = {other: frozenset(map(ord, "壁"))}
    real = fonts._characters
    monkeypatch.setattr(fonts, "_found", lambda: (broken, other))
    monkeypatch.setattr(fonts, "_characters", lambda font: known.get(font) or real(font))
    assert text_runs("a壁b") == [(BASE_FONT, "a"), (other, "壁"), (BASE_FONT, "b")]
    assert undrawable(["壁"]) == ""


def test_letters_that_need_shaping_are_not_drawn_wrongly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_found", lambda: (Path("any.ttf"),))
    every = frozenset(range(0x3000))
    monkeypatch.setattr(
        fonts, "_characters", lambda font: frozenset() if font == BASE_FONT else every
    )
    assert undrawable(["שלום"]) == "שלום"
    assert undrawable(["α"]) == ""


def test_a_wider_text_is_measured_wider() -> None:
    assert 0 < text_width("wall", 12) < text_width("wall hue", 12) < text_width("wall hue", 14)
