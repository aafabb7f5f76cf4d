from pathlib import Path

import numpy as np
import pytest

from dvae_core.data.imported.folder_labels import folder_labels
from dvae_core.data.imported.labels import Labels
from dvae_core.errors import DataError

NAMES = ("a.png", "b.png", "sub/c.png")


def labels(folder: Path, *names: str, table: str | None = None) -> Labels | None:
    if table is not None:
        (folder / "labels.csv").write_text(table, encoding="utf-8")
    return folder_labels(folder, [folder / name for name in names])


def test_the_table_gives_each_picture_its_factors(tmp_path: Path) -> None:
    table = "file,shape,size\nsub/c.png,square,10\n./a.png,disc,9\nb.png,disc,10\nother.png,x,1\n"
    found = labels(tmp_path, *NAMES, table="\ufeff" + table)
    assert found is not None
    assert (found.names, found.sizes) == (("shape", "size"), (2, 2))
    # Numbers in the order of numbers: 9 before 10.
    np.testing.assert_array_equal(found.indices, [[0, 0], [0, 1], [1, 1]])


def test_folders_are_classes(tmp_path: Path) -> None:
    found = labels(tmp_path, "disc/0.png", "disc/1.png", "square/0.png")
    assert found is not None
    assert (found.names, found.sizes) == (("class",), (2,))
    np.testing.assert_array_equal(found.indices, [[0], [0], [1]])


@pytest.mark.parametrize(
    "names", [("a.png", "b.png"), ("one/a.png", "one/b.png"), ("a.png", "b/c.png"), ("a/b/c.png",)]
)
def test_pictures_that_lie_otherwise_have_no_class(tmp_path: Path, names: tuple[str, ...]) -> None:
    assert labels(tmp_path, *names) is None


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ("", "has 0 columns"),
        ("file\na.png\n", "has 1 columns"),
        ("file,x\na.png,1\n", "has no row for b.png and 1 more pictures"),
        ("file,x\na.png,1\nb.png,1,2\n", "has 3 columns in line 3, but 2 in its head"),
        ("file,x\na.png,1\nb.png,nan\nsub/c.png,2\n", "not finite"),
        ("file,x,x\na.png,1,2\nb.png,2,1\nsub/c.png,2,2\n", "unique names"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_in_one_line(
    tmp_path: Path, table: str, complaint: str
) -> None:
    with pytest.raises(DataError, match=complaint) as refused:
        labels(tmp_path, *NAMES, table=table)
    assert "\n" not in str(refused.value)


def test_a_table_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(b"\xff\xfe\x00,\x80")
    with pytest.raises(DataError, match="is not a table of comma-separated text"):
        labels(tmp_path, "a.png")
