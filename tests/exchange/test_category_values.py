from pathlib import Path

import pytest

from dvae_core.errors import ModelError
from dvae_core.exchange.category_values import one_row_a_latent, read_category_values


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
    with pytest.raises(ModelError, match="2 latents were given, but the decoder takes 3"):
        one_row_a_latent([[0, 1], [0, 1]], 3)
