import gzip
import io
import json
import stat
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
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


def test_a_member_without_a_name_is_no_picture(tmp_path: Path) -> None:
    source = packed(tmp_path, {"0.png": png(0), "no-name": b""})
    source.write_bytes(source.read_bytes().replace(b"no-name", b"\0o-name"))
    with unpacked(source) as folder:
        assert [path.name for path in folder.iterdir()] == ["0.png"]


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


def tar(folder: Path, files: dict[str, bytes], name: str = "mine.tar") -> Path:
    path = folder / name
    with tarfile.open(path, "w:gz" if name.endswith("gz") else "w") as archive:
        for member, content in files.items():
            info = tarfile.TarInfo(member)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("name", ["mine.tar", "mine.tar.gz"])
def test_a_webdataset_has_the_classes_beside_its_pictures(tmp_path: Path, name: str) -> None:
    files: dict[str, bytes] = {}
    for i, kind in enumerate(("disc", "square", "disc")):
        files |= {f"{i:04}.png": png(80 * i), f"{i:04}.cls": kind.encode(), f"{i:04}.json": b"{}"}
    plan = plan_import(tar(tmp_path, files, name))
    assert (plan.num_images, plan.factor_names, plan.factor_sizes) == (3, ("class",), (2,))


def test_a_picture_without_a_class_beside_others_with_one_is_refused(tmp_path: Path) -> None:
    source = tar(tmp_path, {"0.png": png(9), "0.cls": b"disc", "1.png": png(99)})
    with pytest.raises(DataError, match=r"1\.png has no class"):
        plan_import(source)


@pytest.mark.parametrize("name", ["../out.png", "/tmp/out.png"])
def test_a_path_out_of_a_tar_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="leads out of the folder"):
        plan_import(tar(tmp_path, {name: png(0)}))


def test_a_link_in_a_tar_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.tar"
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("a.png")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(DataError, match="as a link or a device"):
        plan_import(path)


def test_a_truncated_tar_is_refused(tmp_path: Path) -> None:
    path = tar(tmp_path, {f"{i}.png": png(i) for i in range(9)}, "mine.tar.gz")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=r"mine\.tar\.gz"):
        plan_import(path)


def test_the_metadata_of_an_image_folder_are_its_factors(tmp_path: Path) -> None:
    table = b"shade,file_name\nlow,a/0.png\nhigh,a/1.png\n"
    files = {"a/0.png": png(0), "a/1.png": png(99), "metadata.csv": table}
    plan = plan_import(packed(tmp_path, files))
    assert (plan.factor_names, plan.factor_sizes) == (("shade",), (2,))


def parquet(path: Path, names: list[str] | None = None) -> Path:
    pictures = [{"bytes": png(60 * i), "path": f"{i}.png"} for i in range(4)]
    table = pa.table({"image": pictures, "label": [0, 1, 1, 0], "size": [0.5, 1.5, 2.5, 2.5]})
    if names:
        features = {"info": {"features": {"label": {"names": names}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(features)})
    pq.write_table(table, path)
    return path


def test_parquet_gives_its_pictures_and_all_other_columns(tmp_path: Path) -> None:
    source = parquet(tmp_path / "train.parquet", ["disc", "square"])
    plan = plan_import(source)
    assert plan.num_images == 4
    assert dict(zip(plan.factor_names, plan.factor_sizes, strict=True)) == {"label": 2, "size": 3}
    with unpacked(source) as folder:
        table = (folder / "labels.csv").read_text().splitlines()
    assert table[1] == "row-0.png,disc,0.5"


def test_a_damaged_or_empty_parquet_is_refused(tmp_path: Path) -> None:
    path = parquet(tmp_path / "train.parquet")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"train\.parquet cannot be read"):
        plan_import(path)
    pq.write_table(pa.table({"label": [1, 2]}), path)
    with pytest.raises(DataError, match="no column of pictures, only label"):
        plan_import(path)


def test_a_tar_of_a_huge_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.tar.gz"
    with gzip.open(path, "wb") as file:
        info = tarfile.TarInfo("././@LongLink")
        info.type, info.size = tarfile.GNUTYPE_LONGNAME, 300 * 2**20
        file.write(info.tobuf(tarfile.GNU_FORMAT))
        for _ in range(300):
            file.write(bytes(2**20))
    with pytest.raises(DataError, match="unpacks to more than any pictures"):
        plan_import(path)


def test_a_parquet_that_fills_the_disk_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    pictures = pa.array([bytes(2**20)] * 300).dictionary_encode()
    pq.write_table(pa.table({"image": pictures.cast(pa.binary())}), path)
    assert path.stat().st_size < 10**6
    with pytest.raises(DataError, match="unpacks to more than any pictures"):
        plan_import(path)


def test_columns_of_parquet_may_be_dictionaries_and_called_file_name(tmp_path: Path) -> None:
    kinds = pa.array(["disc", "square"] * 2).dictionary_encode()
    names = pa.array(list("abab"), pa.large_string())
    pictures = [png(60 * i) for i in range(4)]
    table = pa.table({"image": pictures, "kind": kinds, "file_name": names})
    pq.write_table(table, tmp_path / "train.parquet")
    plan = plan_import(tmp_path / "train.parquet")
    assert plan.factor_sizes == (2, 2)


def test_a_row_without_a_label_is_refused(tmp_path: Path) -> None:
    table = pa.table({"image": [png(0), png(90)], "label": [1, None]})
    pq.write_table(table, tmp_path / "train.parquet")
    with pytest.raises(DataError, match="a row has no value in a column of factors"):
        plan_import(tmp_path / "train.parquet")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (b"file,x\n0.png,1\n0.png,2\n1.png,3\n", r"several rows for 0\.png that differ"),
        (b"file,x\n0.png,1\n1.png,\n", "an empty cell in line 3"),
    ],
)
def test_a_table_that_contradicts_itself_or_has_holes_is_refused(
    tmp_path: Path, table: bytes, message: str
) -> None:
    files = {"0.png": png(0), "1.png": png(99), "labels.csv": table}
    with pytest.raises(DataError, match=message):
        plan_import(packed(tmp_path, files))


def test_texts_that_look_like_numbers_of_a_program_stay_texts(tmp_path: Path) -> None:
    table = b"file,x\n0.png,1_1\n1.png,11\n"
    plan = plan_import(packed(tmp_path, {"0.png": png(0), "1.png": png(99), "labels.csv": table}))
    assert plan.factor_sizes == (2,)
