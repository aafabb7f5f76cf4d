"""The commands for data sets: datasets, sheet, download, import."""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from dvae_core.commands.command import MAX_SEED, Command, check_range
from dvae_core.commands.output import check_picture, progress_bar, say, write_picture
from dvae_core.config import TrainedSize
from dvae_core.data import dataset_states, load_dataset
from dvae_core.errors import ConfigError

DatasetName = Annotated[
    Positional[str], arg(metavar="NAME", help="name of the data set; `datasets` lists all names")
]


@dataclass(frozen=True)
class Datasets(Command):
    """List the data sets with their factors and say which ones need a download."""

    def run(self) -> int:
        states = dataset_states()
        for info in states:
            factors = zip(info.factor_names, info.factor_sizes, strict=True)
            sizes = ", ".join(f"{name} {size}" for name, size in factors) or "no factors"
            say(f"{info.name:18} {info.state:13} {info.num_images:>9,} images   {sizes}")
            if info.state != "ready":
                say(f"{'':18} {info.detail}")
        self.print_json({info.name: asdict(info) for info in states})
        return 0


@dataclass(frozen=True)
class Sheet(Command):
    """Draw sample images of a data set as a PNG; each row varies one factor.

    Attributes:
        output: PNG file to write
        count: largest number of images in a row, 2 to 512
        seed: random seed that chooses the start image
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
        check_range("--seed", self.seed, 0, MAX_SEED)
        dataset = load_dataset(self.name)
        if not dataset.factor_sizes:
            raise ConfigError(f"{self.name} has no factors to vary: choose a data set with factors")
        factors = dataset.sample_factors(1, torch.Generator().manual_seed(self.seed))[0]
        frames = [
            to_pixels(factor_variation(dataset, factors, factor, self.count)[0])
            for factor in range(len(dataset.factor_sizes))
        ]
        write_picture(self.output, traversal_sheet(frames, dataset.factor_names))
        say(f"{self.output}: {self.name} around the factors {factors.tolist()}")
        self.print_json({"output": str(self.output), "factors": factors.tolist()})
        return 0


@dataclass(frozen=True)
class Download(Command):
    """Download the published files of a data set; an interrupted download is continued.

    Attributes:
        trust_hash: MD5 or SHA-256 of a file to accept although it is not the published hash
    """

    name: DatasetName
    trust_hash: str | None = None

    def run(self) -> int:
        from dvae_core.data.originals.download import download

        with progress_bar("download", unit="B", unit_scale=True) as progress:
            paths = [str(path) for path in download(self.name, progress, self.trust_hash)]
        say(f"{self.name} is downloaded: {', '.join(paths)}")
        self.print_json({"dataset": self.name, "files": paths})
        return 0


@dataclass(frozen=True)
class Import(Command):
    """Import your own images as a data set; all commands then accept its name.

    Attributes:
        source: pictures in a folder, .zip, .tar or .parquet, or arrays (.npz, .npy, .h5, .mat, IDX)
        name: name of the data set: lower-case letters, digits, - and _
        image_size: height and width in pixels; all images are scaled to it
        fit: what becomes of images that are not square
        background: red, green and blue below transparency and around padding, 0 to 255
        range: values of black and white; by default judged by all images
        white: value of white, where black is 0
        images: name of the array of images in the file
        factors: name of the array of factors in the file
        bins: equal bins for factors that look continuous, 2 to 1000
        keep_one_hot: keep one-hot columns apart
        skip_damaged: leave out pictures that cannot be read
        follow_links: read pictures that are links to other files
        plan: show what would be imported, and import nothing
    """

    source: Positional[Path]
    name: str
    image_size: TrainedSize = 64
    fit: Literal["squash", "crop", "pad"] = "squash"
    background: tuple[int, int, int] = (255, 255, 255)
    range: tuple[float, float] | None = None
    white: float | None = None
    images: str = ""
    factors: str = ""
    bins: int = 0
    keep_one_hot: bool = False
    skip_damaged: bool = False
    follow_links: bool = False
    plan: bool = False

    def run(self) -> int:
        from dvae_core.data.imported.dataset import import_images, plan_import
        from dvae_core.data.imported.labels import called
        from dvae_core.data.imported.options import ImportOptions

        if self.white is not None and self.range is not None:
            raise ConfigError("--white and --range are both given: give one of them")
        same = {field.name for field in fields(self)} & {f.name for f in fields(ImportOptions)}
        options = ImportOptions(
            value_range=self.range if self.white is None else (0.0, self.white),
            **{name: getattr(self, name) for name in same},
        )
        with progress_bar("checking", unit="image") as progress:
            plan = plan_import(self.source, options, progress)
        factors = dict(zip(plan.factor_names, plan.factor_sizes, strict=True))
        say(f"{self.source}: {plan.kind}, {plan.num_images:,} images")
        for factor, size in factors.items():
            say(f"  {called(factor)}: {size} values")
        for note in plan.notes:
            say(f"  {note}")
        if not self.plan:
            with progress_bar("importing", unit="image") as progress:
                path = import_images(self.source, self.name, options, progress)
            say(f"imported as {self.name}, in {path}")
        self.print_json({"dataset": self.name, "images": plan.num_images, "factors": factors})
        return 0
