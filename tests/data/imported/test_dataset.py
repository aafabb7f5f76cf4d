from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from dvae_core.data import dataset_names, load_dataset
from dvae_core.data.imported.dataset import (
    import_images,
    imported_names,
    plan_import,
    remove_imported,
)
from dvae_core.data.imported.options import ImportOptions
from dvae_core.data.listing import training_image_shape
from dvae_core.data.untrusted.limits import MAX_IMAGES
from dvae_core.errors import DataError

FACTORS = np.indices((3, 4)).reshape(2, -1).T
PIXELS = np.random.default_rng(0).integers(0, 256, (12, 64, 64, 3), np.uint8)


@pytest.fixture(autouse=True)
def _data_folder(data_folder: Path) -> None:
    """Imports go into a folder of the test."""


def npz(folder: Path, **arrays: ArrayLike) -> Path:
    path = folder / "set.npz"
    np.savez_compressed(path, allow_pickle=False, **arrays)
    return path


def hdf5(folder: Path, **arrays: ArrayLike) -> Path:
    path = folder / "set.h5"
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
    return path


def pictures(folder: Path, *sizes: tuple[int, int], mode: str = "RGB") -> Path:
    (folder / "pictures").mkdir()
    for i, (width, height) in enumerate(sizes):
        shade = 201 + i
        color = shade if mode == "L" else (shade, 0, 0)
        Image.new(mode, (width, height), color).save(folder / "pictures" / f"{i}.png")
    return folder / "pictures"


def images_of(name: str, size: int = 64) -> NDArray:
    dataset = load_dataset(name, size)
    images = dataset.images_at(torch.arange(len(dataset)), torch.Generator().manual_seed(0))
    return np.rint(images.permute(0, 2, 3, 1).numpy() * 255).astype(np.uint8)


@pytest.mark.parametrize("write", [npz, hdf5])
def test_a_set_with_factors_is_loaded_as_it_was_given(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    source = write(tmp_path, images=PIXELS, factors=FACTORS, factor_names=["across", "down"])
    import_images(source, "mine")
    dataset = load_dataset("mine")
    assert dataset.name == "mine"
    assert dataset.factor_names == ("across", "down")
    assert dataset.factor_sizes == (3, 4)
    assert not dataset.is_noisy
    np.testing.assert_array_equal(images_of("mine"), PIXELS)


@pytest.mark.parametrize(
    "images",
    [
        PIXELS.transpose(0, 3, 1, 2),
        PIXELS / 255,
        (PIXELS / 255).astype(np.float32),
        PIXELS.astype(np.int64),
        PIXELS.astype(np.uint16) * 257,
        PIXELS.astype(">f8"),
    ],
    ids=["channels first", "0 to 1", "float32", "int64", "uint16", "big-endian"],
)
def test_pixels_of_any_type_and_layout_are_understood(images: NDArray, tmp_path: Path) -> None:
    import_images(npz(tmp_path, images=np.ascontiguousarray(images)), "mine")
    np.testing.assert_array_equal(images_of("mine"), PIXELS)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float64])
def test_black_and_white_is_told_from_grey_by_its_range(dtype: type, tmp_path: Path) -> None:
    binary = PIXELS[..., 0] > 127
    import_images(npz(tmp_path, images=binary.astype(dtype)), "mine")
    np.testing.assert_array_equal(images_of("mine")[..., 0], binary * 255)


def test_dark_images_first_do_not_make_the_others_too_bright(tmp_path: Path) -> None:
    images = np.concatenate((np.zeros((4000, 64, 64), np.uint8), PIXELS[..., 0]))
    import_images(npz(tmp_path, images=images), "mine")
    np.testing.assert_array_equal(images_of("mine")[4000:, ..., 0], PIXELS[..., 0])


def test_images_of_another_size_are_scaled(tmp_path: Path) -> None:
    ramp = np.tile(np.arange(0, 240, 2, dtype=np.uint8), (5, 100, 1))  # (images, H, W)
    import_images(npz(tmp_path, images=ramp), "mine")
    row = images_of("mine")[0, 10, 2:-2, 0].astype(float)
    np.testing.assert_allclose(row, 2 * ((np.arange(2, 62) + 0.5) * 120 / 64 - 0.5), atol=1)


def test_a_set_of_32_pixels_is_kept_so(tmp_path: Path) -> None:
    small = PIXELS[:, ::2, ::2]
    import_images(npz(tmp_path, images=np.ascontiguousarray(small)), "mine", ImportOptions(32))
    np.testing.assert_array_equal(images_of("mine", 32), small)


def test_a_set_of_128_pixels_keeps_what_64_would_lose(tmp_path: Path) -> None:
    stripes = np.zeros((5, 128, 128), np.uint8)
    stripes[:, ::2] = 254
    import_images(npz(tmp_path, images=stripes), "mine", ImportOptions(128))
    np.testing.assert_array_equal(images_of("mine", 128)[..., 0], stripes)
    assert (images_of("mine", 64) == 127).all()


def test_images_are_enlarged_for_a_model_of_that_size_but_not_for_a_training(
    tmp_path: Path,
) -> None:
    import_images(npz(tmp_path, images=PIXELS), "mine")
    assert images_of("mine", 128).shape[1:3] == (128, 128)
    with pytest.raises(DataError, match="use image_size 64, or import it again with 128"):
        training_image_shape("mine", 128)
    assert training_image_shape("mine", 32) == (3, 32, 32)


def test_values_become_indices_in_their_order(tmp_path: Path) -> None:
    values = np.array([[2.5, 10], [-1, 30], [0, 10], [2.5, 30]])
    import_images(npz(tmp_path, images=PIXELS[:4], factors=values), "mine")
    dataset = load_dataset("mine")
    assert dataset.factor_names == ("factor 0", "factor 1")
    assert dataset.factors_at(torch.arange(4)).tolist() == [[0, 1], [1, 0], [2, 0], [2, 1]]


@pytest.mark.parametrize("write", [npz, hdf5])
def test_texts_are_values_too(write: Callable[..., Path], tmp_path: Path) -> None:
    source = write(tmp_path, images=PIXELS[:3], factors=["cat", "ant", "cat"])
    import_images(source, "mine")
    assert load_dataset("mine").factor_sizes == (2,)


def test_factors_that_do_not_fill_their_grid_are_drawn_from_those_there(tmp_path: Path) -> None:
    source = npz(tmp_path, images=PIXELS[:5], factors=FACTORS[[0, 5, 6, 10, 11]])
    plan = plan_import(source)
    import_images(source, "mine")
    dataset = load_dataset("mine")
    assert plan.num_combinations == len(dataset) == 5
    assert "5 of 12 possible combinations exist" in " ".join(plan.notes)
    with pytest.raises(DataError, match="has no image with"):
        dataset.images(torch.tensor([[0, 2]]))


def test_several_images_of_a_combination_are_noise(tmp_path: Path) -> None:
    source = npz(tmp_path, images=PIXELS, factors=FACTORS // 2)
    assert any("at random" in note for note in plan_import(source).notes)
    import_images(source, "mine")
    assert load_dataset("mine").is_noisy


def test_images_without_factors_are_a_set(tmp_path: Path) -> None:
    source = npz(tmp_path, images=PIXELS)
    plan = plan_import(source)
    import_images(source, "mine")
    dataset = load_dataset("mine")
    assert plan.factor_names == dataset.factor_names == ()
    assert len(dataset) == 12
    assert dataset.sample_images(3, torch.Generator()).shape == (3, 3, 64, 64)


def test_a_factor_with_one_value_is_left_out(tmp_path: Path) -> None:
    factors = np.column_stack((FACTORS[:, 0], np.full(12, 7)))
    plan = plan_import(npz(tmp_path, images=PIXELS, factors=factors, factor_names=["a", "b"]))
    assert plan.factor_names == ("a",)
    assert "factor b has a single value and is left out" in plan.notes


def test_factors_with_one_value_only_leave_a_set_without_factors(tmp_path: Path) -> None:
    source = npz(tmp_path, images=PIXELS, factors=np.ones((12, 2)))
    assert plan_import(source).factor_names == ()
    import_images(source, "mine")
    assert len(load_dataset("mine")) == 12


def test_a_continuous_factor_is_told_of(tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((150, 8, 8))
    plan = plan_import(npz(tmp_path, images=images, factors=np.linspace(0, 1, 150)))
    assert any("continuous" in note for note in plan.notes)


def test_names_cannot_steer_a_terminal(tmp_path: Path) -> None:
    names = ["\x1b[31mred", "x" * 100]
    plan = plan_import(npz(tmp_path, images=PIXELS, factors=FACTORS, factor_names=names))
    assert plan.factor_names == ("?[31mred", "x" * 39 + "…")


def test_a_folder_of_pictures_is_read_by_name(tmp_path: Path) -> None:
    folder = pictures(tmp_path, (64, 64), (20, 30), (64, 64), mode="L")
    plan = plan_import(folder)
    assert (plan.num_images, plan.smallest, plan.largest) == (3, (30, 20), (64, 64))
    assert plan.image_shape == (1, 64, 64)
    assert any("20 x 30 to 64 x 64 pixels are scaled" in note for note in plan.notes)
    import_images(folder, "mine")
    assert images_of("mine")[:, 5, 5, 0].tolist() == [201, 202, 203]


def test_grey_pictures_among_coloured_ones_become_coloured(tmp_path: Path) -> None:
    folder = pictures(tmp_path, (8, 8))
    Image.new("L", (8, 8), 100).save(folder / "grey.jpg")
    plan = plan_import(folder)
    assert plan.image_shape == (3, 64, 64)
    assert any(note.startswith("1 grey image is") for note in plan.notes)


def test_other_files_in_a_folder_are_left_out_and_told_of(tmp_path: Path) -> None:
    folder = pictures(tmp_path, (8, 8))
    (folder / "notes.txt").write_text("about the pictures")
    assert "1 other files are ignored" in plan_import(folder).notes


def test_a_plan_shows_some_of_the_images(tmp_path: Path) -> None:
    plan = plan_import(npz(tmp_path, images=PIXELS))
    np.testing.assert_array_equal(plan.preview, PIXELS)


def test_a_plan_writes_nothing(tmp_path: Path, data_folder: Path) -> None:
    plan_import(npz(tmp_path, images=PIXELS))
    assert list(data_folder.iterdir()) == []


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pictures": PIXELS}, "only pictures: say which one holds the images"),
        ({"images": PIXELS[0]}, r"the shape \(64, 64, 3\): give"),
        ({"images": np.zeros((5, 8, 8, 4))}, r"the shape \(5, 8, 8, 4\): give"),
        (
            {"images": PIXELS - 128.0},
            "from -128 to 127, which is no usual range: .* --range -128 127",
        ),
        ({"images": PIXELS * 2.0}, "from 0 to 510, which is no usual range"),
        ({"images": np.array([["a"]])}, "give numbers"),
        ({"images": np.asfortranarray(PIXELS)}, "ascontiguousarray"),
        ({"images": PIXELS, "factors": FACTORS[:-1]}, r"shape \(11, 2\), but must have \(12,"),
        ({"images": PIXELS, "factors": np.zeros((12, 2, 2))}, r"shape \(12, 2, 2\)"),
        ({"images": PIXELS, "factors": np.zeros((12, 65))}, "65 columns"),
        ({"images": PIXELS, "factors": FACTORS * np.nan}, "not finite"),
        ({"images": PIXELS, "factors": FACTORS, "factor_names": ["a"]}, "1 names for 2"),
        ({"images": PIXELS, "factors": FACTORS, "factor_names": ["a", "a"]}, "a name twice"),
        ({"images": PIXELS, "factors": FACTORS, "factor_names": [1, 2]}, "list of texts"),
    ],
)
def test_what_does_not_fit_is_told_in_plain_words(
    arrays: dict[str, NDArray], message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        plan_import(npz(tmp_path, **arrays))


def test_numbers_that_are_not_finite_are_refused_and_leave_nothing(
    tmp_path: Path, data_folder: Path
) -> None:
    images = PIXELS / 255
    images[7, 3, 3] = np.nan
    with pytest.raises(DataError, match="not finite"):
        import_images(npz(tmp_path, images=images), "mine")
    assert list(data_folder.rglob("*.npz*")) == []


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no image files"):
        plan_import(tmp_path)


def test_a_link_in_a_folder_is_refused(tmp_path: Path) -> None:
    folder = pictures(tmp_path, (8, 8))
    (folder / "passwords.png").symlink_to("/etc/passwd")
    with pytest.raises(DataError, match="is a link"):
        plan_import(folder)


def test_a_linked_folder_in_a_folder_is_not_entered(tmp_path: Path) -> None:
    folder = pictures(tmp_path, (8, 8))
    (folder / "again").symlink_to(folder)
    assert plan_import(folder).num_images == 1


def test_a_damaged_picture_is_named_and_leaves_nothing(tmp_path: Path, data_folder: Path) -> None:
    folder = pictures(tmp_path, (8, 8), (80, 80))
    picture = folder / "1.png"
    picture.write_bytes(picture.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"1 of 2 pictures cannot be read \(1\.png: "):
        import_images(folder, "mine")
    assert list(data_folder.rglob("*.npz*")) == []


def test_too_many_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at most 5,000,000"):
        plan_import(npz(tmp_path, images=np.zeros((MAX_IMAGES + 1, 4, 4), np.uint8)))


def test_an_imported_set_is_listed_until_it_is_removed(tmp_path: Path) -> None:
    import_images(npz(tmp_path, images=PIXELS), "mine")
    assert imported_names() == ("mine",)
    assert dataset_names()[-1] == "mine"
    remove_imported("mine")
    assert imported_names() == ()
    with pytest.raises(DataError, match="no data set is called 'mine'"):
        load_dataset("mine")


def test_an_imported_set_can_be_imported_again(tmp_path: Path) -> None:
    path = import_images(npz(tmp_path, images=PIXELS, factors=FACTORS), "mine")
    import_images(path, "copy")
    np.testing.assert_array_equal(images_of("copy"), images_of("mine"))


def test_a_name_is_taken_once(tmp_path: Path) -> None:
    source = npz(tmp_path, images=PIXELS)
    import_images(source, "mine")
    with pytest.raises(DataError, match="already imported"):
        import_images(source, "mine")


@pytest.mark.parametrize("name", ["", "../mine", "Mine", "a b", "-x", "x" * 65, "mine\n"])
def test_names_that_could_mean_something_else_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot name a data set"):
        import_images(npz(tmp_path, images=PIXELS), name)


@pytest.mark.parametrize("name", ["circles", "shapes3d"])
def test_names_that_are_always_there_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="built-in data set"):
        import_images(npz(tmp_path, images=PIXELS), name)


def test_removing_what_is_not_there_is_refused() -> None:
    with pytest.raises(DataError, match="no imported data set is called 'mine': there are none"):
        remove_imported("mine")


def test_an_interruption_leaves_nothing(tmp_path: Path, data_folder: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_images(npz(tmp_path, images=PIXELS), "mine", progress=interrupt)
    assert list((data_folder / "imported").iterdir()) == []


@pytest.mark.parametrize(
    "arrays",
    [
        {"images": PIXELS[..., 0]},
        {"images": PIXELS, "factors": FACTORS},
        {"images": PIXELS, "factors": -FACTORS, "factor_names": ["a"], "factor_sizes": [3]},
        {
            "images": PIXELS,
            "factors": FACTORS,
            "factor_names": ["a", "b"],
            "factor_sizes": [3, 3],
        },
        {
            "images": PIXELS,
            "factors": FACTORS[:5],
            "factor_names": ["a", "b"],
            "factor_sizes": [3, 4],
        },
    ],
)
def test_a_stored_set_that_does_not_hold_together_is_refused(
    arrays: dict[str, ArrayLike], tmp_path: Path
) -> None:
    path = import_images(npz(tmp_path, images=PIXELS), "mine")
    np.savez(path, allow_pickle=False, **arrays)
    with pytest.raises(DataError, match=r"damaged \(its .*\): remove 'mine' and import it again"):
        load_dataset("mine")


def test_a_stored_set_cut_off_is_refused(tmp_path: Path) -> None:
    path = import_images(npz(tmp_path, images=PIXELS), "mine")
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(DataError, match="import it again"):
        load_dataset("mine")
