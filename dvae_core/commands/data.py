"""Commands of data sets: datasets, sheet, download, import."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import tyro

from dvae_core.commands.output import check_picture, print_json, progress_bar, write_picture
from dvae_core.errors import ConfigError


def datasets(json: bool = False) -> Callable[[], int]:
    """List the data sets with their factors.

    Args:
        json: print one JSON object as the last line.
    """
    return lambda: _list_datasets(json)


def sheet(
    name: tyro.conf.Positional[str],
    output: Path,
    count: int = 8,
    seed: int = 0,
    json: bool = False,
) -> Callable[[], int]:
    """Write sample images of a data set as a PNG: a row a factor, which alone varies.

    Args:
        name: of the data set.
        output: the PNG to write.
        count: images in a row at most.
        seed: chooses the image that is varied.
        json: print one JSON object as the last line.
    """
    return lambda: _write_sheet(name, output, count, seed, json)


def download(name: tyro.conf.Positional[str], json: bool = False) -> Callable[[], int]:
    """Fetch the published files of a data set; an interrupted download is continued.

    Args:
        name: of the data set, as `datasets` lists it.
        json: print one JSON object as the last line.
    """
    return lambda: _download_dataset(name, json)


def import_(
    source: tyro.conf.Positional[Path],
    name: str,
    image_size: Literal[32, 64] = 64,
    plan: bool = False,
    json: bool = False,
) -> Callable[[], int]:
    """Take your own images in under a name, which every command then knows.

    Args:
        source: folder of pictures, or .npz or .h5 with images and, if known, factors.
        name: of lower case letters, digits, - and _.
        image_size: pixels that images are scaled to.
        plan: say what would be made, and make nothing.
        json: print one JSON object as the last line.
    """
    return lambda: _import_dataset(source, name, image_size, plan, json)


DATA_COMMANDS: dict[str, Callable[..., Callable[[], int]]] = {
    "datasets": datasets,
    "sheet": sheet,
    "download": download,
    "import": import_,
}


def _list_datasets(json: bool) -> int:
    """Print every data set with its factors, and whether its file is there."""
    from dataclasses import asdict

    from dvae_core.data import dataset_states

    states = dataset_states()
    for info in states:
        factors = zip(info.factor_names, info.factor_sizes, strict=True)
        sizes = ", ".join(f"{name} {size}" for name, size in factors) or "no factors"
        print(f"{info.name:18} {info.state:13} {info.num_images:>9,} images   {sizes}")
        if info.state != "ready":
            print(f"{'':18} {info.detail}")
    print_json({info.name: asdict(info) for info in states}, json)
    return 0


def _write_sheet(name: str, output: Path, count: int, seed: int, json: bool) -> int:
    """Write the sheet of a data set as a PNG."""
    import torch

    from dvae_core.analysis.traversal import to_pixels
    from dvae_core.data import load_dataset
    from dvae_core.data.dataset import factor_variation
    from dvae_core.figures.traversal_sheet import traversal_sheet

    check_picture(output, count)
    dataset = load_dataset(name)
    if not dataset.factor_sizes:
        raise ConfigError(f"{name} has no factors, so there is no row to draw")
    factors = dataset.sample_factors(1, torch.Generator().manual_seed(seed))[0]
    frames = [
        to_pixels(factor_variation(dataset, factors, factor, count)[0])
        for factor in range(len(dataset.factor_sizes))
    ]
    write_picture(output, traversal_sheet(frames, dataset.factor_names))
    print(f"{output}: {name} around the factors {factors.tolist()}")
    print_json({"output": str(output), "factors": factors.tolist()}, json)
    return 0


def _download_dataset(name: str, json: bool) -> int:
    """Fetch the files of a data set, with a progress bar."""
    from dvae_core.data.originals.download import download

    with progress_bar("download", unit="B", unit_scale=True) as progress:
        paths = [str(path) for path in download(name, progress)]
    print(f"{name} is here: {', '.join(paths)}")
    print_json({"dataset": name, "files": paths}, json)
    return 0


def _import_dataset(source: Path, name: str, image_size: int, only_plan: bool, json: bool) -> int:
    """Import images under a name, or say what that would make."""
    from dvae_core.data.imported.dataset import import_images, plan_import

    with progress_bar("looking", unit="image") as progress:
        plan = plan_import(source, image_size, progress)
    factors = dict(zip(plan.factor_names, plan.factor_sizes, strict=True))
    print(f"{source}: {plan.kind}, {plan.num_images:,} images")
    for factor, size in factors.items():
        print(f"  factor {factor}: {size} values")
    for note in plan.notes:
        print(f"  {note}")
    if not only_plan:
        with progress_bar("importing", unit="image") as progress:
            path = import_images(source, name, image_size, progress)
        print(f"imported as {name}, in {path}")
    print_json({"dataset": name, "images": plan.num_images, "factors": factors}, json)
    return 0
