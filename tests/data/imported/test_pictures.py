"""Pictures and numbers as people have them: right but unusual."""

import io
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat

from dvae_core.analysis.reconstruction import read_image
from dvae_core.data import load_dataset
from dvae_core.data.imported.dataset import (
    import_images,
    plan_import,
    read_imported_header,
    remove_imported,
)
from dvae_core.data.imported.options import ImportOptions
from dvae_core.data.imported.value_range import DEPTHS, find_range
from dvae_core.errors import DataError

SIZE = 32
ASKED = ImportOptions(SIZE)


@pytest.fixture(autouse=True)
def _data_folder(data_folder: Path) -> None:
    """Imports go into a folder of the test."""


def imported(source: Path, options: ImportOptions = ASKED) -> NDArray[np.float32]:
    """The images after an import, (B, H, W, C) in [0, 1]."""
    import_images(source, "mine", options)
    dataset = load_dataset("mine", options.image_size)
    numbers = torch.arange(dataset.num_images)
    return dataset.points_at(numbers, torch.Generator())[1].permute(0, 2, 3, 1).numpy()


def half_white(width: int = SIZE, height: int = SIZE) -> NDArray[np.uint8]:
    """Black, with a white upper half."""
    pixels = np.zeros((height, width), np.uint8)
    pixels[: height // 2] = 255
    return pixels


def folder_with(folder: Path, save: Callable[[Path], None], name: str = "0.png") -> Path:
    (folder / "pictures").mkdir()
    save(folder / "pictures" / name)
    return folder / "pictures"


def test_a_picture_that_the_camera_turned_stands_upright(tmp_path: Path) -> None:
    turned = Image.fromarray(half_white()).convert("RGB").rotate(90, expand=True)
    exif = Image.Exif()
    exif[274] = 6  # turn by 90 degrees clockwise to see it upright
    folder = folder_with(tmp_path, lambda path: turned.save(path, quality=95, exif=exif), "0.jpg")
    assert "1 image is turned upright" in " ".join(plan_import(folder, ASKED).notes)
    (image,) = imported(folder)
    assert image[:14].min() > 0.9
    assert image[18:].max() < 0.1


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_laid_on_a_ground(mode: str, tmp_path: Path) -> None:
    rgba = Image.new("RGBA", (SIZE, SIZE), (0, 0, 0, 0))
    rgba.paste((0, 0, 0, 255), (0, 0, SIZE, SIZE // 2))
    kept = rgba.quantize() if mode == "P" else rgba.convert(mode)
    folder = folder_with(tmp_path, kept.save)
    assert any("laid on the background" in note for note in plan_import(folder, ASKED).notes)
    (on_white,) = imported(folder)
    assert on_white[20:].min() == 1
    assert on_white[:12].max() == 0
    remove_imported("mine")
    (on_red,) = imported(folder, ImportOptions(SIZE, background=(255, 0, 0)))
    np.testing.assert_allclose(on_red[25, 5], [1, 0, 0])


@pytest.mark.parametrize("bits", DEPTHS)
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_white_is_that_of_the_bits_in_use(bits: int, suffix: str, tmp_path: Path) -> None:
    white = 2**bits - 1
    wide = half_white().astype(np.uint16) // 255 * white
    folder = folder_with(tmp_path, Image.fromarray(wide).save, f"0.{suffix}")
    (image,) = imported(folder)
    assert (image[:16].min(), image[16:].max()) == (1, 0)


def test_white_can_be_given(tmp_path: Path) -> None:
    wide = half_white().astype(np.uint16) // 255 * 1000
    folder = folder_with(tmp_path, Image.fromarray(wide).save)
    (image,) = imported(folder, ImportOptions(SIZE, value_range=(0, 2000)))
    assert image.max() == pytest.approx(0.5, abs=0.01)


def test_wide_pictures_are_judged_together(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, Image.fromarray(np.full((8, 8), 4000, np.uint16)).save)
    Image.fromarray(np.full((8, 8), 1000, np.uint16)).save(folder / "1.png")
    bright, dark = imported(folder)
    assert bright.mean() / dark.mean() == pytest.approx(4, abs=0.05)


@pytest.mark.parametrize("suffix", ["webp", "tif", "bmp", "gif"])
def test_other_formats_are_read(suffix: str, tmp_path: Path) -> None:
    picture = Image.fromarray(half_white())
    folder = folder_with(tmp_path, picture.save, f"0.{suffix}")
    (image,) = imported(folder)
    assert image[:14].min() > 0.9
    assert image[18:].max() < 0.1


def test_cmyk_becomes_rgb_and_animations_their_first_frame(tmp_path: Path) -> None:
    red = Image.new("RGB", (8, 8), (255, 0, 0))
    folder = folder_with(tmp_path, red.convert("CMYK").save, "0.tif")
    frames = [Image.new("RGB", (8, 8), color) for color in ("lime", "blue")]
    frames[0].save(folder / "1.gif", save_all=True, append_images=frames[1:])
    notes = " ".join(plan_import(folder, ASKED).notes)
    assert "1 image is converted from CMYK" in notes
    assert "1 image is read by the first frame" in notes
    first, second = imported(folder)
    assert first[..., 0].min() > 0.9
    assert second[..., 1].min() > 0.9


@pytest.mark.parametrize(
    ("fit", "expected"),
    # Shares of white in the thirds of a row, of a picture whose left third is white.
    [("squash", [1, 0, 0]), ("crop", [0.5, 0, 0]), ("pad", [1, 0, 0])],
)
def test_import_and_upload_have_one_geometry(
    fit: str, expected: list[float], tmp_path: Path
) -> None:
    pixels = np.zeros((48, 96), np.uint8)
    pixels[:, :32] = 255
    picture = Image.fromarray(pixels)
    options = ImportOptions(SIZE, fit=fit, background=(0, 0, 0))  # type: ignore[arg-type]
    folder = folder_with(tmp_path, picture.save)
    (image,) = imported(folder, options)
    thirds = [part.mean() for part in np.array_split(image[SIZE // 2, :, 0], 3)]
    np.testing.assert_allclose(thirds, expected, atol=0.1)
    uploaded, _ = read_image((folder / "0.png").read_bytes(), (1, SIZE, SIZE), options)
    np.testing.assert_array_equal(uploaded.permute(1, 2, 0).numpy(), image)
    assert read_imported_header("mine").about.fit == fit


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_import_and_upload_give_the_same_pixels(tmp_path: Path, data: st.DataObject) -> None:
    mode = data.draw(st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "I;16"]))
    height, width = (data.draw(st.integers(4, 50)) for _ in range(2))
    generator = np.random.default_rng(data.draw(st.integers(0, 1000)))
    pixels = generator.integers(0, 256, (height, width, 4), np.uint8)
    if mode == "I;16":
        picture = Image.fromarray(pixels[..., 0].astype(np.uint16) * 9)
    else:
        picture = Image.fromarray(pixels).convert("RGB" if mode == "P" else mode)
        picture = picture.quantize() if mode == "P" else picture
    options = ImportOptions(SIZE, fit=data.draw(st.sampled_from(["squash", "crop", "pad"])))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    folder = tmp_path / "one"
    folder.mkdir(exist_ok=True)
    (folder / "0.png").write_bytes(buffer.getvalue())
    (image,) = imported(folder, options)
    remove_imported("mine")
    uploaded, _ = read_image(buffer.getvalue(), (image.shape[2], SIZE, SIZE), options)
    np.testing.assert_array_equal(uploaded.permute(1, 2, 0).numpy(), image)


def test_damaged_pictures_are_all_named_and_skipped_if_asked(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, Image.fromarray(half_white()).save, "whole.png")
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes((folder / "whole.png").read_bytes()[:-30])
    plan = plan_import(folder, ASKED)
    assert [found.name for found in plan.damaged] == ["a.png", "b.png"]
    with pytest.raises(
        DataError, match=r"2 of 3 pictures cannot be read \(a\.png: .*--skip-damaged"
    ):
        import_images(folder, "mine", ASKED)
    assert len(imported(folder, ImportOptions(SIZE, skip_damaged=True))) == 1
    assert read_imported_header("mine").about.skipped == ("a.png", "b.png")


def test_links_are_followed_if_asked(tmp_path: Path) -> None:
    Image.fromarray(half_white()).save(tmp_path / "blob", "PNG")
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "0.png").symlink_to(tmp_path / "blob")
    with pytest.raises(DataError, match=r"0\.png is a link: give --follow-links"):
        plan_import(folder, ASKED)
    assert plan_import(folder, ImportOptions(SIZE, follow_links=True)).num_images == 1


def array_file(folder: Path, images: NDArray) -> Path:
    np.savez(folder / "set.npz", images=images)
    return folder / "set.npz"


RAMP = np.linspace(0, 1, 64 * SIZE * SIZE).reshape(64, SIZE, SIZE)


@pytest.mark.parametrize(
    "images",
    [
        RAMP.astype(np.float32),
        np.where(RAMP == 1, 1.003, RAMP),  # a single pixel above 1
        np.where(RAMP == 0, -1e-7, RAMP),
        RAMP * 255,
        (RAMP * 4095).astype(np.uint16),
        (RAMP * 255).astype(np.uint8),
        RAMP > 0.5,
    ],
)
def test_usual_ranges_are_recognised_by_all_values(images: NDArray, tmp_path: Path) -> None:
    found = imported(array_file(tmp_path, images))
    assert (found.min(), found.max()) == (0, 1)
    assert found[0].mean() < 0.05  # dark images stay dark: white is that of the whole set


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (RAMP * 2 - 1, "from -1 to 1, which is no usual range: .* --range -1 1"),
        (RAMP * 300, "from 0 to 300, which is no usual range"),
        (RAMP * 5, "come out nearly black where white is 255: .* --range 0 5"),
        (np.full((4, 8, 8), 7), "all values of the images are 7"),
    ],
)
def test_other_ranges_are_asked_for(images: NDArray, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        plan_import(array_file(tmp_path, images), ASKED)


def test_a_range_that_is_given_is_taken(tmp_path: Path) -> None:
    options = ImportOptions(SIZE, value_range=(-1, 1))
    found = imported(array_file(tmp_path, RAMP * 2 - 1), options)
    np.testing.assert_allclose(found[..., 0], RAMP, atol=0.5 / 255 + 1e-6)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(-1e4, 1e4), st.floats(0.5, 1e4), st.integers(0, 100))
def test_a_declared_range_keeps_order_and_ends(
    tmp_path: Path, low: float, span: float, seed: int
) -> None:
    shares = np.random.default_rng(seed).random((3, SIZE, SIZE))
    shares[0, 0, :2] = 0, 1
    options = ImportOptions(SIZE, value_range=(low, low + span))
    found = imported(array_file(tmp_path, low + shares * span), options)[..., 0]
    remove_imported("mine")
    assert (found[0, 0, 0], found[0, 0, 1]) == (0, 1)
    np.testing.assert_allclose(found, shares, atol=1 / 255)
    order = np.argsort(shares, axis=None)
    assert (np.diff(found.ravel()[order]) >= 0).all()


@pytest.mark.parametrize("bits", DEPTHS)
def test_integers_use_the_fewest_bits_that_hold_them(bits: int) -> None:
    assert find_range(0, 2**bits - 1, True, None).white == 2**bits - 1


SHAPES = (np.indices((6, SIZE, SIZE))[2] > 8 * np.arange(6)[:, None, None]).astype(np.uint8) * 255


def idx(path: Path, array: NDArray[np.uint8]) -> None:
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    path.write_bytes(header + array.tobytes())


def matlab73(path: Path, array: NDArray) -> None:
    """HDF5 behind a block of 512 bytes, columns first."""
    with h5py.File(path, "w", userblock_size=512) as file:
        file["images"] = array.swapaxes(1, 2)
    content = path.read_bytes()
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(512) + content[512:])


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("set.npy", lambda path, array: np.save(path, array)),
        ("set-idx3-ubyte", idx),
        ("set.mat", lambda path, array: savemat(path, {"images": np.moveaxis(array, 0, -1)})),
        ("set73.mat", matlab73),
        ("set.npz", lambda path, array: np.savez(path, imgs=array // 255)),
    ],
)
def test_other_containers_give_the_same_images(
    name: str, write: Callable[[Path, NDArray], None], tmp_path: Path
) -> None:
    write(tmp_path / name, SHAPES)
    np.testing.assert_array_equal(imported(tmp_path / name)[..., 0], SHAPES / 255)


@pytest.mark.parametrize("name", ["data.pkl", "data_batch_1", "model.pt"])
def test_pickles_are_refused_with_a_way_on(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"\x80\x04\x95 a pickle")
    with pytest.raises(DataError, match=r"it is a pickle, .* numpy\.savez"):
        plan_import(tmp_path / name, ASKED)


def labelled(folder: Path, **arrays: NDArray) -> Path:
    np.savez(folder / "set.npz", allow_pickle=True, images=SHAPES, **arrays)
    return folder / "set.npz"


@pytest.mark.parametrize("name", ["labels", "y", "latents_classes", "targets"])
def test_usual_names_of_factors_are_read_and_told(name: str, tmp_path: Path) -> None:
    plan = plan_import(labelled(tmp_path, **{name: np.arange(6) % 3}), ASKED)
    assert plan.factor_sizes == (3,)
    assert any(f"the array {name} is read as the factors" in note for note in plan.notes)


def test_arrays_of_any_name_can_be_asked_for(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", pictures=SHAPES, images=SHAPES[:2], kind=np.arange(6) % 2)
    options = ImportOptions(SIZE, images="pictures", factors="kind")
    plan = plan_import(tmp_path / "set.npz", options)
    assert (plan.num_images, plan.factor_sizes) == (6, (2,))


def test_one_hot_columns_become_one_factor(tmp_path: Path) -> None:
    one_hot = np.eye(3, dtype=int)[[0, 1, 2, 2, 1, 0]]
    other = np.array([0, 1, 2, 0, 1, 2])
    names = np.array(["shape_0", "shape_1", "shape_2", "x"])
    source = labelled(tmp_path, factors=np.column_stack([one_hot, other]), factor_names=names)
    plan = plan_import(source, ASKED)
    assert dict(zip(plan.factor_names, plan.factor_sizes, strict=True)) == {"shape": 3, "x": 3}
    assert any("3 one-hot columns become factor shape" in note for note in plan.notes)
    kept = plan_import(source, ImportOptions(SIZE, keep_one_hot=True))
    assert kept.factor_sizes == (2, 2, 2, 3)


def test_numbers_that_differ_by_rounding_are_one_value(tmp_path: Path) -> None:
    values = np.array([0.1, 0.1 + 1e-9, 0.2, 0.2 - 1e-9, 0.3, 0.3])
    plan = plan_import(labelled(tmp_path, factors=values), ASKED)
    assert plan.factor_sizes == (3,)
    assert any("differ by rounding only" in note for note in plan.notes)


def test_continuous_factors_are_binned_if_asked(tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((100, 8, 8))
    np.savez(tmp_path / "set.npz", images=images, factors=np.linspace(0, 1, 100))
    plan = plan_import(tmp_path / "set.npz", ASKED)
    assert any("looks continuous: give --bins 10" in note for note in plan.notes)
    binned = plan_import(tmp_path / "set.npz", ImportOptions(SIZE, bins=10))
    assert binned.factor_sizes == (10,)
    assert any("10 equal bins from 0 to 1" in note for note in binned.notes)


def test_an_object_array_of_texts_is_refused_with_a_way_on(tmp_path: Path) -> None:
    source = labelled(tmp_path, factors=np.array(["a", "b"] * 3, dtype=object))
    with pytest.raises(DataError, match=r"numpy\.array\(factors\.tolist\(\), dtype=str\)"):
        plan_import(source, ASKED)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 40}, "give 32, 64 or 128"),
        ({"fit": "stretch"}, "give squash, crop, pad"),
        ({"background": (0, 0, 256)}, "from 0 to 255"),
        ({"value_range": (1, 1)}, "the greater value of white"),
        ({"bins": 1}, "give 2 to 1,000"),
    ],
)
def test_options_out_of_range_are_refused(options: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        ImportOptions(**options)


def factors_of(folder: Path, options: ImportOptions = ASKED, **factors: NDArray) -> dict[str, int]:
    plan = plan_import(labelled(folder, **factors), options)
    return dict(zip(plan.factor_names, plan.factor_sizes, strict=True))


def test_blocks_of_one_hot_columns_become_a_factor_each(tmp_path: Path) -> None:
    shape, size = np.eye(3, dtype=int)[[0, 1, 2, 0, 1, 2]], np.eye(4, dtype=int)[[0, 1, 2, 3, 0, 1]]
    found = factors_of(tmp_path, factors=np.hstack([shape, size]))
    assert found == {"class": 3, "class 2": 4}


def test_dense_real_numbers_are_not_merged(tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((3_000, 4, 4))
    values = np.sort(np.random.default_rng(1).random(3_000)) ** 4  # closer than rounding near 0
    np.savez(tmp_path / "set.npz", images=images, factors=values)
    plan = plan_import(tmp_path / "set.npz", ASKED)
    assert plan.factor_sizes == (3_000,)
    binned = plan_import(tmp_path / "set.npz", ImportOptions(SIZE, bins=10))
    assert binned.factor_sizes == (10,)


def test_large_integers_are_binned_exactly(tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((30, 4, 4))
    np.savez(tmp_path / "set.npz", images=images, factors=np.arange(30) + 2**62)
    assert plan_import(tmp_path / "set.npz", ImportOptions(SIZE, bins=5)).factor_sizes == (5,)


def test_large_values_keep_their_steps(tmp_path: Path) -> None:
    images = (np.arange(256) + 10**9).astype(np.uint32).reshape(1, 16, 16).repeat(2, 0)
    options = ImportOptions(SIZE, value_range=(10**9, 10**9 + 255), fit="squash")
    assert len(np.unique(imported(array_file(tmp_path, images), options))) > 200


def test_an_upload_is_read_with_the_range_of_the_pictures_of_its_set(tmp_path: Path) -> None:
    dim = half_white().astype(np.uint16) // 255 * 900
    folder = folder_with(tmp_path, Image.fromarray(dim).save)
    Image.fromarray(dim * 4).save(folder / "1.png")
    first, _ = imported(folder)
    ranges = read_imported_header("mine").about.ranges
    uploaded, _ = read_image((folder / "0.png").read_bytes(), (1, SIZE, SIZE), ASKED, ranges)
    np.testing.assert_array_equal(uploaded.permute(1, 2, 0).numpy(), first)


def test_a_set_of_arrays_says_nothing_of_the_range_of_pictures(tmp_path: Path) -> None:
    imported(array_file(tmp_path, RAMP * 2 - 1), ImportOptions(SIZE, value_range=(-1, 1)))
    assert read_imported_header("mine").about.ranges == {}


def test_matlab_files_of_numpy_keep_their_images_first(tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((10, 8, 9))
    savemat(tmp_path / "set.mat", {"images": images, "factors": np.arange(10)[:, None] % 2})
    plan = plan_import(tmp_path / "set.mat", ASKED)
    assert (plan.num_images, plan.smallest) == (10, (8, 9))
