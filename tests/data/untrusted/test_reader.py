"""The child process that opens files, and what it refuses by the header alone."""

import os
import signal
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import psutil
import pytest
from PIL import Image

from dvae_core.data.imported.options import WHITE
from dvae_core.data.untrusted.reader import PictureForm, Reader
from dvae_core.errors import DataError

IMAGES = np.random.default_rng(0).integers(0, 256, (10, 12, 12), np.uint8)


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    with Reader() as opened:
        yield opened


def write_npz(path: Path, name: str, header: dict, data: bytes, method: int) -> Path:
    """A .npz whose header may claim anything."""
    with zipfile.ZipFile(path, "a", method) as archive, archive.open(f"{name}.npy", "w") as member:
        np.lib.format.write_array_header_1_0(member, header)
        member.write(data)
    return path


def npy_header(shape: tuple[int, ...], descr: str = "|u1", fortran_order: bool = False) -> dict:
    return {"descr": descr, "fortran_order": fortran_order, "shape": shape}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_of_a_npz_are_read_as_they_were_saved(
    save: Callable[..., None], reader: Reader, tmp_path: Path
) -> None:
    path = tmp_path / "set.npz"
    numbers = np.arange(20.0).reshape(4, 5)
    save(path, images=IMAGES, turned=numbers.T, names=np.array(["a", "bc"]))
    file = reader.open_arrays(path, ("images", "turned", "names", "nothing"))
    assert set(file.arrays) == {"images", "turned", "names"}
    np.testing.assert_array_equal(file.read("images", 3, 7), IMAGES[3:7])
    np.testing.assert_array_equal(file.read("images", 0, 2), IMAGES[:2])
    np.testing.assert_array_equal(file.read_whole("turned"), numbers.T)
    assert file.read_whole("names").tolist() == ["a", "bc"]


def test_arrays_of_an_hdf5_file_are_read_as_they_were_saved(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "set.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=IMAGES, chunks=(3, 12, 12), compression="lzf")
        file["deep/inside"] = [1.5, 2.5]
        file["names"] = ["a", "bc"]
    opened = reader.open_arrays(path, ("images", "deep/inside", "names", "nothing"))
    assert set(opened.arrays) == {"images", "deep/inside", "names"}
    np.testing.assert_array_equal(np.concatenate(list(opened.blocks("images"))), IMAGES)
    assert opened.read_whole("deep/inside").tolist() == [1.5, 2.5]
    assert opened.read_whole("names").tolist() == ["a", "bc"]


@pytest.mark.parametrize("name", ["h5py", "numpy", "zipfile"])
def test_libraries_are_not_taken_from_the_working_directory(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"{name}.py").write_text("open('marker', 'w')")
    with h5py.File(tmp_path / "set.h5", "w") as file:
        file["images"] = IMAGES
    monkeypatch.chdir(tmp_path)
    with Reader() as reader:
        arrays = reader.open_arrays(Path("set.h5"), ("images",))
        np.testing.assert_array_equal(arrays.read("images", 0, 10), IMAGES)
    assert not (tmp_path / "marker").exists()


def test_large_arrays_come_in_several_blocks(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    numbers = np.arange(10 * 2**20, dtype=np.uint64).reshape(-1, 2**10)
    np.savez(path, numbers=numbers)
    blocks = list(reader.open_arrays(path, ("numbers",)).blocks("numbers"))
    assert len(blocks) == 3
    np.testing.assert_array_equal(np.concatenate(blocks), numbers)


def test_limits_are_those_of_the_whole_array(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, numbers=np.array([3.0, -1.5, 7.25]))
    assert reader.open_arrays(path, ("numbers",)).limits("numbers") == (-1.5, 7.25)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(
    bad: float, reader: Reader, tmp_path: Path
) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, numbers=np.array([3.0, bad]))
    with pytest.raises(DataError, match="not finite"):
        reader.open_arrays(path, ("numbers",)).limits("numbers")


def test_a_missing_array_is_told_with_what_is_there(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, pictures=IMAGES, other=IMAGES)
    with pytest.raises(DataError, match="no array 'images', only pictures, other"):
        reader.open_arrays(path, ("images",)).require("images")


def test_a_pickled_array_is_refused(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, images=np.array([{"an": "object"}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="has the type object"):
        reader.open_arrays(path, ("images",))


def test_a_header_that_claims_too_much_is_refused(reader: Reader, tmp_path: Path) -> None:
    for shape, message in (((2**35,), "would unpack"), ((2**62, 2**62), "by its header")):
        path = tmp_path / f"{len(shape)}.npz"
        write_npz(path, "images", npy_header(shape), b"", zipfile.ZIP_STORED)
        with pytest.raises(DataError, match=message):
            reader.open_arrays(path, ("images",))


def test_a_header_that_claims_more_than_there_is_is_refused(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    write_npz(path, "images", npy_header((100,)), bytes(99), zipfile.ZIP_STORED)
    with pytest.raises(DataError, match="has 99 bytes, but its header states 100"):
        reader.open_arrays(path, ("images",))


def test_an_array_that_unpacks_to_too_much_is_refused(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    data = bytes(257 * 2**20)
    write_npz(path, "images", npy_header((len(data),)), data, zipfile.ZIP_DEFLATED)
    with pytest.raises(DataError, match="would unpack from"):
        reader.open_arrays(path, ("images",))


def test_an_array_that_is_there_twice_is_refused(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    write_npz(path, "images", npy_header((1,)), b"0", zipfile.ZIP_STORED)
    with pytest.warns(UserWarning, match="Duplicate"):
        write_npz(path, "images", npy_header((1,)), b"0", zipfile.ZIP_STORED)
    with pytest.raises(DataError, match="has images 2 times"):
        reader.open_arrays(path, ("images",))


def test_an_array_stored_the_wrong_way_round_is_told(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, images=np.asfortranarray(IMAGES))
    with pytest.raises(DataError, match="ascontiguousarray"):
        reader.open_arrays(path, ("images",)).read("images", 0, 1)


def hdf5_that_reaches_out(path: Path, way: str) -> None:
    other = path.with_name("other.h5")
    with h5py.File(other, "w") as file:
        file["images"] = IMAGES
    with h5py.File(path, "w") as file:
        match way:
            case "external link":
                file["images"] = h5py.ExternalLink(other.name, "images")
            case "soft link":
                file["images"] = h5py.SoftLink("/elsewhere")
            case "external storage":
                file.create_dataset("images", (8,), "u1", external=[("/etc/passwd", 0, 8)])
            case "virtual set":
                layout = h5py.VirtualLayout(IMAGES.shape, "u1")
                layout[:] = h5py.VirtualSource(other.name, "images", IMAGES.shape)
                file.create_virtual_dataset("images", layout)


@pytest.mark.parametrize(
    ("way", "message"),
    [
        ("external link", "is a link"),
        ("soft link", "is a link"),
        ("external storage", "in other files"),
        ("virtual set", "in other files"),
    ],
)
def test_an_hdf5_file_that_reaches_out_is_refused(
    way: str, message: str, reader: Reader, tmp_path: Path
) -> None:
    path = tmp_path / "set.h5"
    hdf5_that_reaches_out(path, way)
    with pytest.raises(DataError, match=message):
        reader.open_arrays(path, ("images",))


@pytest.mark.parametrize(
    ("packing", "message"),
    [
        ({"shape": (2**40,), "chunks": (2**20,)}, "by its header"),
        ({"shape": (2**30,), "chunks": (2**20,)}, "would unpack from 0 bytes"),
        ({"shape": (2**28,), "chunks": (2**27,)}, "chunks"),
        ({"shape": (10,), "chunks": (10,), "scaleoffset": 4}, "filter 6"),
        ({"shape": (0, 4, 4)}, "empty"),
        ({"shape": ()}, "0 axes"),
    ],
)
def test_an_hdf5_header_that_does_not_fit_is_refused(
    packing: dict, message: str, reader: Reader, tmp_path: Path
) -> None:
    path = tmp_path / "set.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("images", dtype="u1", **packing)
    with pytest.raises(DataError, match=message):
        reader.open_arrays(path, ("images",))


@pytest.mark.parametrize("dtype", ["c8", "f2, i4", h5py.ref_dtype])
def test_an_hdf5_array_of_other_things_is_refused(
    dtype: object, reader: Reader, tmp_path: Path
) -> None:
    path = tmp_path / "set.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("images", (3,), dtype)
    with pytest.raises(DataError, match="save numbers"):
        reader.open_arrays(path, ("images",))


def png_chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def png_of_claimed_size(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", data)


@pytest.mark.parametrize("side", [5_000, 20_000, 2**31 - 1])
def test_a_picture_of_too_many_pixels_is_refused(side: int, reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(png_of_claimed_size(side, side))
    with pytest.raises(DataError, match="17 million pixels"):
        reader.check_picture(path, WHITE)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_pictures_of_every_mode_are_read(mode: str, reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    drawing = Image.new("L", (6, 4), 0)
    drawing.putpixel((5, 1), 255)
    if mode == "I;16":
        Image.fromarray(np.asarray(drawing).astype(np.uint16) * 257).save(path)
    else:
        drawing.convert(mode).save(path)
    info = reader.check_picture(path, WHITE)
    assert (info.height, info.width) == (4, 6)
    assert info.is_grey == (mode in ("1", "L", "LA", "I;16"))
    assert info.is_wide == (mode == "I;16")
    assert info.greatest == (65535 if info.is_wide else 255)
    picture = reader.read_picture(path, PictureForm((4, 4), 1 if info.is_grey else 3))
    assert picture.max(axis=2).argmax() == 1 * 4 + 3  # row 1, the last column


def test_a_text_called_a_picture_is_refused(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_text("no picture")
    with pytest.raises(DataError, match="not of the kind"):
        reader.check_picture(path, WHITE)


def test_what_is_no_plain_file_is_refused(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "pipe.npz"
    os.mkfifo(path)
    with pytest.raises(DataError, match="not a regular file"):
        reader.open_arrays(path, ("images",))
    with pytest.raises(DataError, match="does not exist"):
        reader.open_arrays(tmp_path / "nothing.npz", ("images",))


def large_npz(folder: Path) -> Path:
    path = folder / "large.npz"
    write_npz(path, "zeros", npy_header((100 * 2**20,)), bytes(100 * 2**20), zipfile.ZIP_STORED)
    return path


def test_a_file_that_takes_too_much_memory_ends_only_its_reading(tmp_path: Path) -> None:
    with Reader(memory_bytes=220 * 2**20) as reader:
        file = reader.open_arrays(large_npz(tmp_path), ("zeros",))
        with pytest.raises(DataError, match="takes more than 220 MB"):
            file.read_whole("zeros")
        assert file.read("zeros", 0, 3).tolist() == [0, 0, 0]


def test_a_file_that_takes_too_long_ends_its_reader_which_starts_again(tmp_path: Path) -> None:
    path = large_npz(tmp_path)
    with Reader() as reader:
        reader.open_arrays(path, ("zeros",))
        with pytest.raises(DataError, match="to read"):
            reader.ask_about(path, "arrays:read_whole", 0.001, name="zeros")
        file = reader.open_arrays(path, ("zeros",))
        assert file.read("zeros", 0, 3).tolist() == [0, 0, 0]


@pytest.mark.skipif(not hasattr(signal, "SIGSEGV"), reason="needs signals")
@pytest.mark.parametrize("dead_already", [False, True])
def test_a_reader_that_crashes_is_told_in_one_line_and_starts_again(
    tmp_path: Path, dead_already: bool
) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, images=IMAGES)
    before = set(psutil.Process().children())
    with Reader() as reader:
        file = reader.open_arrays(path, ("images",))
        (child,) = set(psutil.Process().children()) - before
        child.send_signal(signal.SIGSEGV)
        if dead_already:
            child.wait(10)
        with pytest.raises(DataError, match="kills its reader") as caught:
            file.read("images", 0, 3)
        assert len(str(caught.value).splitlines()) == 1
        assert "images" in reader.open_arrays(path, ("images",)).arrays


def test_closing_a_reader_ends_its_process(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, images=IMAGES)
    before = set(psutil.Process().children())
    with Reader() as reader:
        reader.open_arrays(path, ("images",))
    assert set(psutil.Process().children()) == before
