import io
import stat
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from dvae_core.data import load_dataset
from dvae_core.data.imported.dataset import import_images, plan_import
from dvae_core.data.imported.unpacked import unpacked
from dvae_core.errors import DataError


@pytest.fixture(autouse=True)
def _data_folder(data_folder: Path) -> None:
    """Imports go into a folder of the test."""


def png(grey: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (64, 64), grey).save(file, "png")
    return file.getvalue()


def packed(folder: Path, files: dict[str, bytes], mode: int = 0) -> Path:
    path = folder / "mine.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = mode << 16
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, content)
    return path


@pytest.mark.parametrize("top", ["", "my pictures/"])
def test_class_folders_in_a_zip_are_imported_with_their_classes(tmp_path: Path, top: str) -> None:
    files = {f"{top}{kind}/{i}.png": png(50 * i) for kind in ("disc", "square") for i in range(3)}
    source = packed(tmp_path, files | {"__MACOSX/._0.png": b"x", f"{top}notes.txt": b"mine"})
    plan = plan_import(source)
    assert (plan.num_images, plan.factor_names, plan.factor_sizes) == (6, ("class",), (2,))
    import_images(source, "mine")
    assert load_dataset("mine").factor_sizes == (2,)


def test_a_table_in_a_zip_names_its_pictures(tmp_path: Path) -> None:
    table = b"file,brightness\n0.png,low\n1.png,high\n"
    plan = plan_import(packed(tmp_path, {"0.png": png(0), "1.png": png(99), "labels.csv": table}))
    assert (plan.factor_names, plan.factor_sizes) == (("brightness",), (2,))
    assert not [note for note in plan.notes if "ignored" in note]


def test_nothing_is_left_of_what_was_unpacked(tmp_path: Path) -> None:
    with unpacked(packed(tmp_path, {"0.png": png(0)})) as folder:
        assert [path.name for path in folder.iterdir()] == ["0.png"]
    assert not folder.exists()


@pytest.mark.parametrize("name", ["../out.png", "/tmp/out.png", "a\\..\\b.png", "C:out.png"])
def test_a_path_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with (
        pytest.raises(DataError, match="leads out of the folder"),
        unpacked(packed(tmp_path, {name: png(0)})),
    ):
        pass


def test_a_link_is_refused(tmp_path: Path) -> None:
    source = packed(tmp_path, {"a.png": b"/etc/passwd"}, mode=stat.S_IFLNK | 0o777)
    with pytest.raises(DataError, match="as a link or a device"), unpacked(source):
        pass


def test_a_zip_that_fills_the_disk_is_refused(tmp_path: Path) -> None:
    source = packed(tmp_path, {f"{i}.png": bytes(100 * 2**20) for i in range(3)})
    with pytest.raises(DataError, match="unpacks to more than any pictures"), unpacked(source):
        pass


@pytest.mark.parametrize("content", [b"no zip", b"PK\x03\x04cut off"])
def test_a_damaged_zip_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mine.zip").write_bytes(content)
    with pytest.raises(DataError, match=r"mine\.zip is not a complete zip file"):
        plan_import(tmp_path / "mine.zip")


def test_a_zip_without_pictures_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no image files"):
        plan_import(packed(tmp_path, {"notes.txt": b"mine"}))
