"""What the latent board is given: its rows and where its images come from, fit for JSON.

Images come from a decoder in the browser (`BoardDecoder`), which makes those of any code, or from
frames of one code that were rendered before (`BoardFrames`).
"""

import base64
import hashlib
import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = Sequence[float] | NDArray[np.floating[Any]]


@dataclass(frozen=True)
class BoardRow:
    """One latent as the board shows it.

    Attributes:
        latent: the model's own 0-based index, whatever the order of the rows.
        values: where the handle may stop, ascending: the K category values, or the traversal
            values of a Gaussian range. Frame k of this latent is the image at values[k].
        start: the value that Escape and reset go back to.
        value: where the handle stands now. Like `start` it may lie between two of `values`, which
            a soft code does.
        kl_nats: KL of this latent's posterior, in nats; of a point the entropy of its categories.
        kl_of: what the KL is of, for its tooltip.
        chosen: True for the latent that the readout shows first.
        name: what to call the latent; by default "latent 3".
        posterior: heights of q(z_i | x) at `values`, or empty when no image was the start. Only
            the shape counts: a peak fills the track, a flat posterior a quarter of it.
        aggregate: heights of the aggregate posterior at `values`, or empty.
        continuous: True for a Gaussian latent: densities instead of bars, no category numbers.
        point: True where the posterior is a certain category.
        carries: the factor that this latent has the most information about, or "".
        information: that information as a share of the factor's entropy, in [0, 1], or None.
        num_points: images that the information was measured on, for its tooltip.
        active: False folds the row away with the other inactive ones.
        category_names: what people call categories, by their index in `values`.
        visited: whether each of `values` occurs in the data, or empty if all do. The board dims the
            others.
    """

    latent: int
    values: Numbers
    start: float
    value: float
    kl_nats: float
    kl_of: str = "the start image"
    chosen: bool = False
    name: str = ""
    posterior: Numbers = ()
    aggregate: Numbers = ()
    continuous: bool = False
    point: bool = False
    carries: str = ""
    information: float | None = None
    num_points: int = 0
    active: bool = True
    category_names: Mapping[int, str] = field(default_factory=dict)
    visited: Sequence[bool] | NDArray[np.bool_] = ()


@dataclass(frozen=True)
class BoardFrames:
    """Every frame of every row and the image of the current code, packed by `encode_frames`.

    Attributes:
        packed: base64 of one zlib stream, see `encode_frames`.
        shape: (N, K, C, H, W) of the frames.
        state_id: names the state (model and code) that the frames belong to. The browser unpacks
            frames again only when it changes.
    """

    packed: str
    shape: tuple[int, int, int, int, int]
    state_id: str


@dataclass(frozen=True)
class BoardDecoder:
    """A decoder for the browser.

    Attributes:
        packed: bytes of `pack_decoder`.
        id: names them; equal decoders have equal names.
    """

    packed: bytes
    id: str

    @classmethod
    def of(cls, packed: bytes) -> "BoardDecoder":
        """Packed weights, named by their SHA-256."""
        return cls(packed, hashlib.sha256(packed).hexdigest()[:32])


Source = BoardFrames | BoardDecoder


@dataclass(frozen=True)
class BoardTarget:
    """A second code, which a slider blends with the start.

    Attributes:
        code: the values of all N latents.
        label: what the slider does.
    """

    code: Sequence[float]
    label: str


def encode_frames(
    images: Iterable[NDArray[np.uint8]], image: NDArray[np.uint8], state_id: str
) -> BoardFrames:
    """Pack the frames of all rows for the browser, pixel for pixel.

    Neighbouring categories look alike, so a frame goes over the wire as its difference to the one
    before (modulo 256), plane by plane, deflated with run lengths only. For 10 x 64 decoded frames
    of 64x64 this takes about half the bytes of PNG or lossless WebP, and less than half the time.
    Layout before deflating, bytes: differences (N, K, C, H, W), then the image (C, H, W).

    Args:
        images: of each of N latents, uint8 (K_i, H, W, C), C 1 or 3; images[i][k] is the image of
            the current code with latent i at its k-th value. K is the largest K_i, and where a
            latent has fewer values its last frame is repeated, which packs to next to nothing.
        image: uint8 (H, W, C), the image of the current code itself.
        state_id: names what the frames belong to; must change whenever the frames do.

    Raises:
        ValueError: wrong dtype or shape.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] not in (1, 3):
        raise ValueError(f"the image is {image.dtype} {image.shape}, expected uint8 (H, W, 1 or 3)")
    rows = list(images)
    shown_shape = ", ".join(map(str, image.shape))
    for row in rows:
        if row.dtype != np.uint8 or row.shape[1:] != image.shape:
            raise ValueError(
                f"frames are {row.dtype} {row.shape}, expected uint8 (K, {shown_shape})"
            )
    height, width, channels = image.shape
    shape = (len(rows), max(len(row) for row in rows), channels, height, width)
    differences = np.zeros(shape, dtype=np.uint8)
    for row, of_row in zip(rows, differences, strict=True):
        planes = row.transpose(0, 3, 1, 2)  # (K_i, H, W, C) -> (K_i, C, H, W)
        of_row[:1] = planes[:1]
        np.subtract(planes[1:], planes[:-1], out=of_row[1 : len(row)])
    compressor = zlib.compressobj(level=1, memLevel=9, strategy=zlib.Z_RLE)
    packed = compressor.compress(differences.data)
    packed += compressor.compress(image.transpose(2, 0, 1).tobytes())  # (H, W, C) -> (C, H, W)
    packed += compressor.flush()
    return BoardFrames(
        packed=base64.b64encode(packed).decode("ascii"),
        shape=shape,
        state_id=state_id,
    )


def board_data(
    rows: Sequence[BoardRow],
    source: Source,
    *,
    label: str = "latents",
    code: Sequence[float] | None = None,
    side: str = "",
    shown: int | None = None,
    within_data: bool = False,
    target: BoardTarget | None = None,
    session: str = "",
    answered: int = 0,
    known_decoder: str = "",
) -> dict[str, Any]:
    """What board.js is given, fit for JSON.

    Args:
        rows: of the latents to show, in their order.
        source: a decoder, or frames of the code that `rows` holds, by ascending latent.
        label: name of this board for screen readers, told apart where a page has two.
        code: the values of all N latents; None if each has a row.
        side: which of two boards this is, such as "left": part of the name of each slider, and of
            the `data-testid` of an element around the board.
        shown: active rows that are open at first, from the top; None opens all of them. The rest
            folds away with the inactive ones, unless the chosen row is among it.
        within_data: whether handles stop at visited values only.
        target: a second code to blend with; needs a decoder.
        session: of whoever counts the releases; another one begins to count again.
        answered: number of the last release that these data know of. The board drops data that
            know of fewer than it has told.
        known_decoder: id of the decoder that the browser has, whose weights are then left out.

    Raises:
        ValueError: `rows` are not latents of `code`, or do not fit each other or the frames.
    """
    code = code_of(rows) if code is None else code
    _check(rows, source, code)
    if isinstance(source, BoardDecoder):
        packed = None
        if source.id != known_decoder:
            packed = base64.b64encode(source.packed).decode("ascii")
        images: dict[str, Any] = {"decoder": {"id": source.id, "packed": packed}}
        state_id = source.id
    else:
        images = {"shape": source.shape, "frames": source.packed}
        state_id = source.state_id
    place = {latent: i for i, latent in enumerate(sorted(row.latent for row in rows))}
    return {
        "session": session,
        "answered": answered,
        "label": label,
        "side": side,
        "shown": shown,
        "withinData": within_data,
        "target": None if target is None else {"code": list(target.code), "label": target.label},
        "state_id": state_id,
        **images,
        "code": [float(value) for value in code],
        "rows": [{**_row_data(row), "frames": place[row.latent]} for row in rows],
    }


def code_of(rows: Sequence[BoardRow]) -> list[float]:
    """The values of all latents where each has a row."""
    return [row.value for row in sorted(rows, key=lambda row: row.latent)]


def _check(rows: Sequence[BoardRow], source: Source, code: Sequence[float]) -> None:
    num_rows: int = len(rows)
    num_values = max((len(row.values) for row in rows), default=1)
    if isinstance(source, BoardFrames):
        num_rows, num_values = source.shape[:2]
    latents = {row.latent for row in rows}
    if not len(latents) == len(rows) == num_rows or not latents <= set(range(len(code))):
        raise ValueError(
            f"rows are of latents {sorted(row.latent for row in rows)}, expected {num_rows} of 0 "
            f"to {len(code) - 1}"
        )
    for row in rows:
        if not 1 <= len(row.values) <= num_values:
            raise ValueError(
                f"latent {row.latent} has {len(row.values)} values, expected 1 to {num_values}"
            )
        if not np.isfinite([*row.values, row.start, row.value]).all():
            raise ValueError(f"latent {row.latent} has a value or a start that is not finite")
        if not np.all(np.diff(row.values) > 0):
            raise ValueError(f"the values of latent {row.latent} do not ascend")
        for name, heights in (("posterior", row.posterior), ("aggregate", row.aggregate)):
            if len(heights) not in (0, len(row.values)):
                raise ValueError(
                    f"the {name} of latent {row.latent} has {len(heights)} heights, "
                    f"expected {len(row.values)} or none"
                )
        if len(row.visited) not in (0, len(row.values)):
            raise ValueError(
                f"latent {row.latent} has {len(row.visited)} visits, expected {len(row.values)} or "
                f"none"
            )


def _row_data(row: BoardRow) -> dict[str, Any]:
    return {
        "latent": row.latent,
        "name": row.name or f"latent {row.latent}",
        "values": [float(value) for value in row.values],
        "start": float(row.start),
        "value": float(row.value),
        "kl": _finite(row.kl_nats),
        "klOf": row.kl_of,
        "chosen": row.chosen,
        "posterior": posterior_heights(row.posterior),
        "aggregate": track_heights(row.aggregate),
        "continuous": row.continuous,
        "point": row.point,
        "carries": row.carries,
        "information": None if row.information is None else _finite(row.information),
        "points": row.num_points,
        "active": row.active,
        "categoryNames": dict(row.category_names),
        # Nothing to dim where all are visited, which saves the browser the look.
        "visited": [] if all(row.visited) else [bool(visited) for visited in row.visited],
    }


def _finite(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None


def posterior_heights(heights: Numbers) -> list[float]:
    """Of a posterior on a track: a peak fills it, a flat posterior a quarter of it."""
    return track_heights(heights, flat=0.25)


def track_heights(heights: Numbers, flat: float = 1.0) -> list[float]:
    """Scaled so that a peak is 1 and a uniform distribution, which tells nothing, is `flat`."""
    if len(heights) == 0:
        return []
    array = np.nan_to_num(np.asarray(heights, dtype=np.float64), posinf=0.0, neginf=0.0).clip(0)
    top = max(array.max(), array.mean() * min(1 / flat, array.size))
    return (array / (top or 1.0)).round(3).tolist()
