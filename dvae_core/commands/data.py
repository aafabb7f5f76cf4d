"""Commands of data sets: datasets, sheet, download, import."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from dvae_core.commands.command import Command
from dvae_core.commands.output import check_picture, progress_bar, write_picture
from dvae_core.data import dataset_states, load_dataset
from dvae_core.errors import ConfigError

DatasetName = Annotated[
    Positional[str], arg(metavar="NAME", help="name of the data set, as `datasets` lists it")
]


@dataclass(frozen=True)
class Datasets(Command):
    """List the data sets with their factors, and tell which of them need a download."""

    def run(self) -> int:
        states = dataset_states()
        for info in states:
            factors = zip(info.factor_names, info.factor_sizes, strict=True)
            sizes = ", ".join(f"{name} {size}" for name, size in factors) or "no factors"
            print(f"{info.name:18} {info.state:13} {info.num_images:>9,} images   {sizes}")
            if info.state != "ready":
                print(f"{'':18} {info.detail}")
        self.print_json({info.name: asdict(info) for info in states})
        return 0


@dataclass(frozen=True)
class Sheet(Command):
    """Draw sample images of a data set as a PNG; in each row one factor varies.

    Attributes:
        output: PNG file to write
        count: maximum number of images in a row
        seed: random seed that chooses the image to vary
    """

    name: DatasetName
    output: Path
    count: int = 8
    seed: int = 0

    def run(self) -> int:
        import torch

        from dvae_core.analysis.traversal import to_pixels
        from dvae_core.data.dataset import factor_variation
        from dvae_core.figures.traversal_sheet import traversal_sheet

        check_picture(self.output, self.count)
        dataset = load_dataset(self.name)
        if not dataset.factor_sizes:
            raise ConfigError(f"{self.name} has no factors, so there is no row to draw")
        factors = dataset.sample_factors(1, torch.Generator().manual_seed(self.seed))[0]
        frames = [
            to_pixels(factor_variation(dataset, factors, factor, self.count)[0])
            for factor in range(len(dataset.factor_sizes))
        ]
        write_picture(self.output, traversal_sheet(frames, dataset.factor_names))
        print(f"{self.output}: {self.name} around the factors {factors.tolist()}")
        self.print_json({"output": str(self.output), "factors": factors.tolist()})
        return 0


@dataclass(frozen=True)
class Download(Command):
    """Download the published files of a data set, or continue an interrupted download."""

    name: DatasetName

    def run(self) -> int:
        from dvae_core.data.originals.download import download

        with progress_bar("download", unit="B", unit_scale=True) as progress:
            paths = [str(path) for path in download(self.name, progress)]
        print(f"{self.name} is here: {', '.join(paths)}")
        self.print_json({"dataset": self.name, "files": paths})
        return 0


@dataclass(frozen=True)
class Import(Command):
    """Import your own images as a data set, which every command then knows by its name.

    Attributes:
        source: folder of pictures, or .npz or .h5 file with images and optionally their factors
        name: name for the data set, of lower-case letters, digits, - and _
        image_size: height and width in pixels that the images are scaled to
        plan: only show what would be imported
    """

    source: Positional[Path]
    name: str
    image_size: Literal[32, 64] = 64
    plan: bool = False

    def run(self) -> int:
        from dvae_core.data.imported.dataset import import_images, plan_import

        with progress_bar("looking", unit="image") as progress:
            plan = plan_import(self.source, self.image_size, progress)
        factors = dict(zip(plan.factor_names, plan.factor_sizes, strict=True))
        print(f"{self.source}: {plan.kind}, {plan.num_images:,} images")
        for factor, size in factors.items():
            print(f"  factor {factor}: {size} values")
        for note in plan.notes:
            print(f"  {note}")
        if not self.plan:
            with progress_bar("importing", unit="image") as progress:
                path = import_images(self.source, self.name, self.image_size, progress)
            print(f"imported as {self.name}, in {path}")
        self.print_json({"dataset": self.name, "images": plan.num_images, "factors": factors})
        return 0
