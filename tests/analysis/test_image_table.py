import csv
import io
from pathlib import Path

import numpy as np

from dvae_core.analysis.encoded import read_encoded_set
from dvae_core.analysis.image_table import image_csv, image_table
from tests.analysis.made import made_set, random_set

NAMES = ["=1+1", "loss", "a, b", "loss (factor)"]
SET = made_set(
    [[0.5, -1.0], [0.1, 2.0]],
    factors=[[0, 1, 2, 3], [1, 0, 0, 2]],
    names=NAMES,
    categories=[[3, 4], [1, 0]],
    counts=[5, 5],
    kl=[[0.1, 1.0], [0.2, 1.0]],
    losses=[10, 20],
    numbers=[7, 3],
)


def test_each_image_has_its_numbers() -> None:
    table = image_table(SET)
    assert list(table)[:7] == [
        *("number", "=1+1", "loss (factor)", "a, b", "loss (factor) (factor)", "loss", "kl")
    ]
    assert table["number"].tolist() == [7, 3]
    assert table["loss (factor)"].tolist() == [1, 0]
    assert table["loss"].tolist() == [10, 20]
    np.testing.assert_allclose(table["kl"], [1.1, 1.2], rtol=1e-6)
    assert table["category 1"].tolist() == [4, 0]
    assert "category 0" not in image_table(made_set([[0.0]]))


def test_a_spreadsheet_takes_no_name_for_a_formula() -> None:
    head, *rows = csv.reader(io.StringIO(image_csv(SET)))
    assert head[1] == "'=1+1"
    assert head[3] == "a, b"
    assert not [name for name in head if name.startswith(("=", "+", "-", "@"))]
    assert [row[0] for row in rows] == ["7", "3"]
    assert float(rows[0][head.index("latent 1")]) == -1.0


def test_a_part_is_saved_and_read(tmp_path: Path) -> None:
    encoded = random_set(30, 2)
    part = encoded.part(encoded.losses > 50)
    assert 0 < len(part) < 30
    assert part.is_sample
    part.save(tmp_path / "part.npz")
    again = read_encoded_set(tmp_path / "part.npz")
    for name, column in image_table(part).items():
        np.testing.assert_array_equal(image_table(again)[name], column)
    assert encoded.part(np.array([4, 2])).numbers.tolist() == [4, 2]
