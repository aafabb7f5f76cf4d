"""Traversals of a model as files for papers and talks: sheets and animations."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from dvae_core.analysis.latent_profile import LatentProfile, run_profile
from dvae_core.analysis.reconstruction import encode_image, reconstruct
from dvae_core.analysis.traversal import check_latent, to_pixels, traverse_latent
from dvae_core.data import load_dataset
from dvae_core.data.dataset import Dataset
from dvae_core.errors import ConfigError, printable
from dvae_core.figures.animation import FPS_RANGE, animation, there_and_back
from dvae_core.figures.drawing import Drawing, Picture, Text, check_pixels
from dvae_core.figures.fonts import text_width, undrawable
from dvae_core.figures.traversal_sheet import SheetRow, draw_images, draw_sheet
from dvae_core.models.latents import Posterior
from dvae_core.models.vae import VAE
from dvae_core.progress import Progress, no_progress
from dvae_core.runs.names import NO_NAMES, LatentNames, latent_names
from dvae_core.runs.run import Run
from dvae_core.system.files import check_output, write_atomically

SHEETS = (".png", ".svg", ".pdf")
ANIMATIONS = (".gif", ".apng")
COUNT_RANGE = 2, 512
SCALE_RANGE = 1, 16
MAX_FRAME_BYTES = 2**28
"""Limit on the decoded images of one export."""
_SHEET_IMAGES, _ANIMATION_IMAGES = 11, 24
_SIDES = {"sheet": 64, "animation": 256, "together": 128}  # pixels that a default scale aims at
_NAMED_FACTORS = 3
_MARGIN, _LINE = 8, 18  # pixels around and below the images of an animation


@dataclass(frozen=True)
class Traversal:
    """The traversal of one latent.

    Attributes:
        latent: index.
        name: what people call it, such as "latent 3 · wall hue".
        unit: what `ticks` are, "category" or "value".
        ticks: the values in few characters, P of them.
        places: the values in words, P of them.
        frames: decoded images, uint8 (P, H, W, C).
        factors: names and shares in [0, 1] of the factors it has the most information about.
        kl: of the start, or on average, nats.
    """

    latent: int
    name: str
    unit: str
    ticks: tuple[str, ...]
    places: tuple[str, ...]
    frames: NDArray[np.uint8]
    factors: tuple[tuple[str, float], ...]
    kl: float

    @property
    def details(self) -> tuple[str, ...]:
        """The factors and the KL in words."""
        factors = ", ".join(f"{name} {share:.0%}" for name, share in self.factors)
        return (*((factors,) if factors else ()), f"KL {self.kl:.2f} nats")


@dataclass(frozen=True)
class Traversals:
    """Traversals from one start.

    Attributes:
        rows: one for each latent.
        heads: captioned images (H, W, C), the start and its reconstruction; () for a sample of the
            prior.
        caption: run, data set, and what the numbers are.
        title: of a document.
    """

    rows: tuple[Traversal, ...]
    heads: tuple[tuple[str, NDArray[np.uint8]], ...]
    caption: tuple[str, ...]
    title: str

    @property
    def texts(self) -> list[str]:
        """All that a sheet or an animation writes."""
        each = [text for row in self.rows for text in (row.name, *row.details, *row.places)]
        return [*each, *self.caption]


@dataclass(frozen=True)
class Exported:
    """A file that was written.

    Attributes:
        path: the file.
        latents: of its traversals, in order.
        replaced: characters that it shows as "?", since no font of this machine has them.
    """

    path: Path
    latents: tuple[int, ...]
    replaced: str


@dataclass(frozen=True)
class TraversalStart:
    """Where traversals begin, and what is known of the model.

    Attributes:
        model: decodes.
        profile: values, KL and information of each latent.
        code: (N,), changed in one latent at a time.
        image: the start (C, H, W), or None for a sample of the prior.
        posterior: of the image, or None.
        names: what people call the latents.
    """

    model: VAE
    profile: LatentProfile
    code: Tensor
    image: Tensor | None = None
    posterior: Posterior | None = None
    names: LatentNames = NO_NAMES


def export_traversals(
    run: Run,
    output: Path | str,
    latents: Sequence[int] | Literal["active", "all"] = "active",
    count: int | None = None,
    seed: int = 0,
    *,
    scale: int | None = None,
    labels: bool = True,
    fps: float = 10,
    together: bool = False,
    span: str | None = None,
    progress: Progress = no_progress,
) -> Exported:
    """Write traversals of a run as a sheet (.png, .svg, .pdf) or as an animation (.gif, .apng).

    A sheet has a row for each latent with its name, the factors that it shares at least a tenth of
    the entropy with, and its KL; the start and its reconstruction stand above, and a caption below.
    An animation goes through the values of one latent after another, there and back.

    Args:
        run: whose model decodes; with an encoder, its data set gives the start.
        output: file to write; its ending chooses the format.
        latents: indices in the order of the rows, or "all", or "active" for those that hold
            more than 0.05 nats about an image (all where none does), both by descending KL.
        count: images of each latent, 2 to 512; by default 11 on a sheet and 24 in an animation. A
            categorical latent has at most its number of categories.
        seed: chooses the start: an image of the data set, or a sample of the prior without encoder.
        scale: side of a pixel in pixels of the file, 1 to 16; by default such that images are about
            64 pixels wide on a sheet and 256 (`together`: 128) in an animation.
        labels: whether to write texts, and draw the start.
        fps: frames per second of an animation, 1 to 50.
        together: whether an animation moves all latents side by side.
        span: range of the values of Gaussian latents, as in `traversal_rows`.
        progress: told the number of decoded images.

    Raises:
        ConfigError: the ending, a number, or a latent is out of range, the folder of the output is
            missing, or the file would have too many pixels.
        DataError: the data set is missing.
        RunError: the run has no readable model, or its names are damaged.
    """
    path = Path(output)
    check_output(path, (*SHEETS, *ANIMATIONS))
    check_options(count, scale, fps, seed)
    count = count or default_count(path.suffix)
    model = run.load_model()
    if not isinstance(latents, str):
        for latent in latents:
            check_latent(model, latent)
    dataset, start = start_of_run(run, model, seed, span)
    chosen = chosen_latents(start.profile, latents)
    counts = [min(count, len(start.profile.values[latent])) for latent in chosen]
    check_size(model.image_shape, counts, path.suffix, scale, together)
    traversals = traversals_from(
        start,
        run.id,
        dataset.name if dataset else run.record.dataset,
        chosen,
        count,
        progress,
    )
    content = render_traversals(
        traversals, path.suffix, scale=scale, labels=labels, fps=fps, together=together
    )
    write_atomically(path, content)
    return Exported(path, tuple(chosen), replaced_in(traversals, path.suffix) if labels else "")


def start_of_run(
    run: Run, model: VAE, seed: int, span: str | None = None
) -> tuple[Dataset | None, TraversalStart]:
    """A random image of a run's data set, or a sample of the prior of a model without encoder.

    Args:
        run: with the data set.
        model: of the run.
        seed: of the choice.
        span: range of the values.

    Raises:
        ConfigError: the family has no such range.
        DataError: the data set is missing.
        RunError: the names of the latents are damaged.
    """
    generator = torch.Generator().manual_seed(seed)
    names = latent_names(run)
    if model.encoder is None:
        code = model.latents.sample_prior(1, generator)[0]
        profile = run_profile(run, model, None, span)
        return None, TraversalStart(model, profile, code, names=names)
    dataset = load_dataset(run.record.dataset, run.record.image_size)
    image = dataset.sample_images(1, generator)[0]
    posterior = encode_image(model, image)
    code = posterior.mean_code()[0]
    profile = run_profile(run, model, dataset, span)
    return dataset, TraversalStart(model, profile, code, image, posterior, names)


def chosen_latents(
    profile: LatentProfile, latents: Sequence[int] | Literal["active", "all"]
) -> list[int]:
    """The indices that a choice means, as in `export_traversals`.

    Raises:
        ConfigError: none is chosen, or one twice.
    """
    if latents == "all":
        return profile.by_kl()
    if latents == "active":
        return [i for i in profile.by_kl() if profile.active[i]] or profile.by_kl()
    if isinstance(latents, str):
        raise ConfigError(f"latents is {latents[:40]!r}: give their numbers, or active, or all")
    if not latents or len(set(latents)) < len(latents):
        raise ConfigError(f"latents is {list(latents)}: give at least one, and each once")
    return list(latents)


def traversals_from(
    start: TraversalStart,
    run_id: str,
    dataset_name: str,
    latents: Sequence[int],
    count: int,
    progress: Progress = no_progress,
) -> Traversals:
    """Decode traversals and describe them.

    Args:
        start: where they begin.
        run_id: for the caption.
        dataset_name: for the caption.
        latents: indices of the rows.
        count: values of each latent, evenly chosen among those of the profile, or all.
        progress: told the number of decoded images.

    Raises:
        ConfigError: there is no such latent.
    """
    model, profile = start.model, start.profile
    for latent in latents:
        check_latent(model, latent)
    values = {latent: _spaced(profile.values[latent], count) for latent in latents}
    total, done = sum(map(len, values.values())), 0
    kl = profile.kl if start.posterior is None else start.posterior.kl()[0].cpu().numpy()
    rows = []
    for latent in latents:
        places = torch.from_numpy(values[latent])
        frames = to_pixels(traverse_latent(model, start.code, latent, places))
        ticks, words = _described(start, latent, values[latent])
        rows.append(
            Traversal(
                latent=latent,
                name=printable(start.names.words(latent), 120),
                unit="category" if model.latents.category_counts else "value",
                ticks=ticks,
                places=words,
                frames=frames,
                factors=_factors(profile, latent),
                kl=float(kl[latent]),
            )
        )
        done += len(places)
        progress(done, total)
    return Traversals(
        rows=tuple(rows),
        heads=_heads(start),
        caption=_caption(start, run_id, dataset_name),
        title=f"Traversals of {printable(run_id)}",
    )


def render_traversals(
    traversals: Traversals,
    ending: str,
    *,
    scale: int | None = None,
    labels: bool = True,
    fps: float = 10,
    together: bool = False,
) -> bytes:
    """The content of a file with the ending .png, .svg, .pdf, .gif or .apng.

    Arguments and errors as in `export_traversals`.
    """
    kind = _kind(ending)
    if kind in ("gif", "apng"):
        frames = list(animation_frames(traversals, scale=scale, labels=labels, together=together))
        return animation(frames, fps, "gif" if kind == "gif" else "apng")
    drawing = sheet_of(traversals, scale=scale, labels=labels)
    writers: dict[str, Callable[[], bytes]] = {
        "png": drawing.to_png,
        "svg": drawing.to_svg,
        "pdf": drawing.to_pdf,
    }
    return writers[kind]()


def sheet_of(traversals: Traversals, *, scale: int | None = None, labels: bool = True) -> Drawing:
    """The sheet of `export_traversals`."""
    rows = traversals.rows
    scale = scale or _default_scale(rows[0].frames.shape[2], "sheet")
    if not labels:
        return draw_images([row.frames for row in rows], scale, traversals.title)
    # One line above the columns will do where all rows have the same values.
    shared = all(row.ticks == rows[0].ticks for row in rows)
    return draw_sheet(
        [
            SheetRow(
                row.frames,
                row.name,
                row.details
                if shared
                else (*row.details, f"{row.unit} {row.ticks[0]} to {row.ticks[-1]}"),
            )
            for row in rows
        ],
        traversals.heads,
        (rows[0].unit, rows[0].ticks) if shared else None,
        traversals.caption,
        scale,
        traversals.title,
    )


def animation_frames(
    traversals: Traversals,
    *,
    scale: int | None = None,
    labels: bool = True,
    together: bool = False,
) -> Iterator[Image.Image]:
    """The frames of `export_traversals`, in the order in which they are shown.

    Raises:
        ConfigError: they would have too many pixels.
    """
    rows = traversals.rows
    scale = scale or _default_scale(
        rows[0].frames.shape[2], "together" if together else "animation"
    )
    if together:
        most = max(len(row.frames) for row in rows)
        # A latent of few values stays longer at each.
        steps = [
            [(row, round(step * (len(row.frames) - 1) / max(1, most - 1))) for row in rows]
            for step in there_and_back(most)
        ]
    else:
        steps = [[(row, step)] for row in rows for step in there_and_back(len(row.frames))]
    width = rows[0].frames.shape[2] * scale
    if labels:
        written = [text for row in rows for text in (row.name, *row.places)]
        width = max(width, round(max(text_width(text, 12) for text in written)))
    height = rows[0].frames.shape[1] * scale + labels * 2 * _LINE
    size = (
        len(steps[0]) * (width + _MARGIN) + _MARGIN * labels - _MARGIN * (not labels),
        height + 2 * _MARGIN * labels,
    )
    check_pixels(size, len(steps))
    for step in steps:
        pictures, texts = [], []
        for column, (row, at) in enumerate(step):
            edge = _MARGIN * labels
            middle = edge + column * (width + _MARGIN) + width / 2
            picture = Picture(0, edge, row.frames[at], scale)
            pictures.append(Picture(middle - picture.size[0] / 2, edge, row.frames[at], scale))
            if labels:
                below = edge + picture.size[1]
                texts.append(Text(middle, below + _LINE, row.name, centred=True))
                texts.append(Text(middle, below + 2 * _LINE, row.places[at], centred=True))
        yield Drawing(*size, texts, pictures).to_image()


def replaced_in(traversals: Traversals, ending: str) -> str:
    """The characters that a file with this ending shows as "?", each once; "" for SVG, whose reader
    chooses the fonts."""
    return "" if _kind(ending) == "svg" else undrawable(traversals.texts)


def check_options(count: int | None, scale: int | None, fps: float, seed: int) -> None:
    """Raise `ConfigError` unless the options of `export_traversals` are in their ranges."""
    for name, value, (least, most) in (
        ("count", count, COUNT_RANGE),
        ("scale", scale, SCALE_RANGE),
        ("fps", fps, FPS_RANGE),
        ("seed", seed, (0, 2**31 - 1)),
    ):
        if value is not None and not least <= value <= most:
            raise ConfigError(f"{name} is {value:,}: give a number from {least:,} to {most:,}")


def default_count(ending: str) -> int:
    """Images of each latent in a file with this ending."""
    return _ANIMATION_IMAGES if _kind(ending) in ("gif", "apng") else _SHEET_IMAGES


def _kind(ending: str) -> str:
    return ending.lower().removeprefix(".")


def check_size(
    image_shape: tuple[int, int, int],
    counts: Sequence[int],
    ending: str,
    scale: int | None = None,
    together: bool = False,
) -> None:
    """Raise `ConfigError` if a file would have too many pixels, before anything is decoded.

    Args:
        image_shape: (C, H, W).
        counts: images of each latent.
        ending: of the file.
        scale: as in `export_traversals`.
        together: as in `export_traversals`.
    """
    channels, height, width = image_shape
    total = sum(counts)
    if total * channels * height * width > MAX_FRAME_BYTES:
        raise ConfigError(
            f"{total:,} images are more than {MAX_FRAME_BYTES // 2**20} MB: choose fewer latents "
            f"or a smaller count"
        )
    if _kind(ending) in ("svg", "pdf"):  # their images keep their own resolution
        return
    columns, rows, frames = max(counts), len(counts), 1
    layout = "sheet"
    if _kind(ending) != "png" and together:
        columns, rows, frames, layout = rows, 1, len(there_and_back(columns)), "together"
    elif _kind(ending) != "png":
        frames = sum(len(there_and_back(count)) for count in counts)
        columns, rows, layout = 1, 1, "animation"
    side = scale or _default_scale(width, layout)
    check_pixels((columns * width * side, rows * height * side), frames)


def _default_scale(width: int, layout: str) -> int:
    return min(SCALE_RANGE[1], max(1, _SIDES[layout] // width))


def _spaced(values: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    return values[np.linspace(0, len(values) - 1, min(count, len(values))).round().astype(int)]


def _described(
    start: TraversalStart, latent: int, values: NDArray[np.float32]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The values in few characters, and in words."""
    latents = start.model.latents
    if not latents.category_counts:
        ticks = tuple(f"{value:.2f}" for value in values)
        return ticks, tuple(f"value {tick}" for tick in ticks)
    grid = latents.traversal_values(latent).cpu().numpy()
    categories = [int(np.abs(grid - value).argmin()) for value in values]
    words = (printable(start.names.words(latent, category), 120) for category in categories)
    return (
        tuple(map(str, categories)),
        tuple(f"{each}, value {value:.2f}" for each, value in zip(words, values, strict=True)),
    )


def _factors(profile: LatentProfile, latent: int) -> tuple[tuple[str, float], ...]:
    return tuple((printable(name, 80), share) for name, share in profile.leading_factors(latent))[
        :_NAMED_FACTORS
    ]


def _heads(start: TraversalStart) -> tuple[tuple[str, NDArray[np.uint8]], ...]:
    if start.image is None:
        return ()
    decoded = reconstruct(start.model, start.image, start.code).image
    return ("start image", to_pixels(start.image)), ("reconstruction", to_pixels(decoded))


def _caption(start: TraversalStart, run_id: str, dataset_name: str) -> tuple[str, ...]:
    if start.model.encoder is None:
        numbers = ["start: a sample of the prior; the model has no encoder, so no KL"]
    elif start.posterior is None:
        numbers = ["start: a sample of the prior; KL from the prior: mean over images"]
    else:
        numbers = ["KL from the prior: that of the start image"]
    if start.profile.factor_names:
        numbers.append(f"percentages: share of a factor's entropy, {start.profile.estimate}")
    return (
        f"run {printable(run_id, 100)}, data set {printable(dataset_name, 100)}",
        "; ".join(numbers),
    )
