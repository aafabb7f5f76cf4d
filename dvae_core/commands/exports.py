"""The commands that write what a run has learnt to files: traverse, codes, export-page."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from dvae_core.commands.command import Command, RunFolder
from dvae_core.commands.output import progress_bar, say
from dvae_core.errors import ConfigError


@dataclass(frozen=True)
class Traverse(Command):
    """Write traversals of a run as a sheet or as an animation.

    A sheet (.png, .svg, .pdf) has a row for each latent, with its name, the factors that it has
    information about, and its KL. An animation (.gif, .apng) goes through the latents in turn.

    Attributes:
        output: file to write; its ending chooses the format
        latents: numbers separated by commas, counted from 0, or active for those that hold
            more than 0.05 nats about an image, or all
        count: images of each latent, 2 to 512; default: 11 on a sheet, 24 in an animation
        seed: random seed that chooses the start image from the data set
        scale: pixels of the file for a pixel of the images, 1 to 16; default: by their size
        labels: write names and numbers, and draw the start image
        fps: frames per second of an animation, 1 to 50
        together: move all latents side by side in an animation
        span: range of the values of Gaussian latents, such as "data range"; default: prior ±2 sd
    """

    run_dir: RunFolder
    output: Path
    latents: Annotated[str, arg(aliases=("--latent",))] = "active"
    count: int | None = None
    seed: int = 0
    scale: int | None = None
    labels: bool = True
    fps: float = 10.0
    together: bool = False
    span: str | None = None

    def run(self) -> int:
        from dvae_core.figures.traversal_export import export_traversals
        from dvae_core.runs.run import Run

        latents = _latents(self.latents)
        with progress_bar("decoding", unit="image", leave=False) as progress:
            exported = export_traversals(
                Run(self.run_dir),
                self.output,
                latents,
                self.count,
                self.seed,
                scale=self.scale,
                labels=self.labels,
                fps=self.fps,
                together=self.together,
                span=self.span,
                progress=progress,
            )
        say(f"{self.output}: traversals of latents {', '.join(map(str, exported.latents))}")
        if exported.replaced:
            say(
                f"note: the file shows ? in place of {exported.replaced}, which no font here draws "
                f"as it should: an .svg has them"
            )
        self.print_json(
            {
                "output": str(self.output),
                "latents": exported.latents,
                "replaced": exported.replaced,
            }
        )
        return 0


@dataclass(frozen=True)
class Codes(Command):
    """Write the codes and posteriors of a run's data set as CSV or NPZ.

    Attributes:
        output: file to write, .csv or .npz
        count: number of images, drawn at random; default: all
        seed: random seed of the drawing
        posteriors: write the probability of every category of every latent too; the posterior of a
            Gaussian latent is always there, as its mean and its deviation
    """

    run_dir: RunFolder
    output: Path
    count: int | None = None
    seed: int = 0
    posteriors: bool = True

    def run(self) -> int:
        from dvae_core.analysis.code_files import export_codes
        from dvae_core.runs.run import Run

        with progress_bar("encoding", unit="image", leave=False) as progress:
            encoded = export_codes(
                Run(self.run_dir),
                self.output,
                self.count,
                self.seed,
                posteriors=self.posteriors,
                progress=progress,
            )
        size = self.output.stat().st_size
        say(
            f"{self.output}: {len(encoded):,} of {encoded.num_images:,} images of "
            f"{encoded.origin.dataset}, {encoded.num_latents} latents, {size / 2**20:,.1f} MB"
        )
        self.print_json({"output": str(self.output), "images": len(encoded), "bytes": size})
        return 0


def _latents(text: str) -> tuple[int, ...] | Literal["active", "all"]:
    """The latents that a text names."""
    if text == "active":
        return "active"
    if text == "all":
        return "all"
    try:
        return tuple(int(number) for number in text.split(","))
    except ValueError:
        raise ConfigError(
            f"--latents is {text[:40]!r}: give numbers separated by commas, or active, or all"
        ) from None


@dataclass(frozen=True)
class ExportPage(Command):
    """Write one or two runs as a web page that opens from disk, without a server or a network.

    The page has the latent board with its decoder, 24 images of the data set and samples of the
    prior to start from, the mutual information, the scores and the settings.

    Attributes:
        run_dirs: folder of the run, or of two runs with the same images, shown side by side
        output: file to write, ending in .html
        note: sentence below the title
    """

    run_dirs: Annotated[Positional[tuple[Path, ...]], arg(metavar="RUN [RUN]")]
    output: Path
    note: str = ""

    def run(self) -> int:
        from dvae_core.runs.run import Run
        from dvae_core.web.page import export_page

        path = export_page([Run(folder) for folder in self.run_dirs], self.output, note=self.note)
        size = path.stat().st_size
        say(f"{path}: {size / 1e6:.2f} MB")
        self.print_json({"output": str(path), "bytes": size})
        return 0
