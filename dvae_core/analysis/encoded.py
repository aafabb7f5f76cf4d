"""Encode a data set once: codes, KL and reconstruction losses of its images, kept on disk."""

import hashlib
import io
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from dvae_core.analysis.traversal import to_pixels
from dvae_core.data.dataset import Dataset
from dvae_core.data.folder import data_folder
from dvae_core.data.imported.dataset import imported_at
from dvae_core.data.untrusted.npz import NpzFile
from dvae_core.errors import DataError, EvaluationError, printable
from dvae_core.evaluation.latent_statistics import (
    ACTIVE_NATS,
    held_nats,
    image_information,
    unit_scales,
)
from dvae_core.evaluation.representation import ENCODING_BATCH
from dvae_core.models.latents import CategoricalLatents
from dvae_core.models.vae import VAE, reconstruction_loss
from dvae_core.progress import Progress, ShouldStop, never, no_progress
from dvae_core.runs.run import Run
from dvae_core.system.files import write_atomically

DEFAULT_COUNT = 10_000
MAX_BYTES = 256 * 2**20
"""Limit on the arrays of one encoded set."""
MAX_CACHE_BYTES = 2**30
"""Limit on all cached sets together."""
_MAX_HEADER_BYTES = 2**20


class EncodingOrigin(BaseModel):
    """What an encoded set was made from; equal origins have equal codes.

    Attributes:
        weights: SHA-256 of the model's weights and of the settings that they do not hold.
        step: number of updates; 0 for an imported model and for one without a run.
        dataset: name of the data set.
        images: SHA-256 of the data set's shape, factors, import time and three of its images.
        count: number of images asked for.
        seed: of the sampling, and of noise in images.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    weights: str = Field(max_length=64)
    step: int = Field(ge=0)
    dataset: str = Field(max_length=200)
    images: str = Field(max_length=64)
    count: int = Field(ge=1)
    seed: int = Field(ge=0)


@dataclass(frozen=True)
class EncodedSet:
    """What a model makes of n images of a data set, in random order.

    Attributes:
        origin: model, data set, count and seed.
        num_images: number of images of the data set; above n, the n images are a sample.
        factor_names: (F,); () without factors.
        factor_sizes: number of values of each factor, (F,).
        category_counts: K_j of each latent, (N,); () without categories.
        numbers: of the images, as in `Dataset.points_at`, distinct, int64 (n,).
        factors: int64 (n, F).
        codes: mean codes, float32 (n, N).
        deviations: standard deviation of each posterior's code, float32 (n, N).
        categories: most likely categories, int32 (n, N); None without categories.
        probabilities: of the most likely categories, float32 (n, N); None without categories.
        kl: divergence of each posterior from the prior, nats, float32 (n, N).
        losses: Bernoulli cross entropy of the image decoded from the mean code, summed over pixels
            and channels, nats, float32 (n,).
        image_information: of each latent over all n images, also in a `part`, nats, (N,), as in
            `latent_statistics`.
    """

    origin: EncodingOrigin
    num_images: int
    factor_names: tuple[str, ...]
    factor_sizes: tuple[int, ...]
    category_counts: tuple[int, ...]
    numbers: NDArray[np.int64]
    factors: NDArray[np.int64]
    codes: NDArray[np.float32]
    deviations: NDArray[np.float32]
    categories: NDArray[np.int32] | None
    probabilities: NDArray[np.float32] | None
    kl: NDArray[np.float32]
    losses: NDArray[np.float32]
    image_information: NDArray[np.float64]

    def __len__(self) -> int:
        """n."""
        return len(self.numbers)

    @property
    def num_latents(self) -> int:
        """N."""
        return self.codes.shape[1]

    @property
    def is_sample(self) -> bool:
        """Whether the data set has more images."""
        return len(self) < self.num_images

    @cached_property
    def mean_kl(self) -> NDArray[np.float64]:
        """Mean KL of each latent, nats, (N,)."""
        return self.kl.mean(axis=0, dtype=np.float64)

    @cached_property
    def total_kl(self) -> NDArray[np.float32]:
        """KL of each image, summed over latents, nats, (n,)."""
        return self.kl.sum(axis=1)

    @property
    def num_bytes(self) -> int:
        """Size of the arrays."""
        layout = _layout(
            len(self), self.num_latents, len(self.factor_sizes), self.categories is not None
        )
        return _num_bytes(layout)

    @cached_property
    def held(self) -> NDArray[np.float64]:
        """Bound of the information in each latent, nats, (N,), as in `held_nats`. The use of
        categories is known where all posteriors are points."""
        if self.categories is None or self.probabilities is None or (self.probabilities < 1).any():
            return held_nats(self.mean_kl, None)
        columns = zip(self.categories.T, self.category_counts, strict=True)
        usage = [np.bincount(column, minlength=count) / len(self) for column, count in columns]
        return held_nats(self.mean_kl, usage)

    @property
    def active(self) -> NDArray[np.bool_]:
        """Whether each latent holds more than 0.05 nats about an image, (N,)."""
        return self.image_information > ACTIVE_NATS

    @cached_property
    def spread(self) -> NDArray[np.float64]:
        """Standard deviation of each latent's code over the set, (N,)."""
        return self.codes.std(axis=0, dtype=np.float64)

    def check_latent(self, latent: int) -> None:
        """Raise `EvaluationError` unless there is a latent of that index."""
        if not 0 <= latent < self.num_latents:
            raise EvaluationError(
                f"there is no latent {latent}: the model has {self.num_latents}, numbered from 0"
            )

    def scaled_codes(self) -> NDArray[np.float64]:
        """Codes in units of `spread`, (n, N). Latents that are not active or do not vary are 0:
        they say next to nothing, and division by their tiny spread would let their noise decide."""
        return self.codes * self.scales()

    def scales(self) -> NDArray[np.float64]:
        """The factors of `scaled_codes`, (N,): 1 / `spread`, or 0."""
        return unit_scales(self.spread, self.active)

    def part(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> "EncodedSet":
        """The images of some rows: indices (B,), each at most once, or a slice (n,).

        `draw_encoded` and `images_of` take the whole set: the noise of an image depends on its row.
        """
        return replace(
            self,
            numbers=self.numbers[rows],
            factors=self.factors[rows],
            codes=self.codes[rows],
            deviations=self.deviations[rows],
            categories=None if self.categories is None else self.categories[rows],
            probabilities=None if self.probabilities is None else self.probabilities[rows],
            kl=self.kl[rows],
            losses=self.losses[rows],
        )

    def arrays(self) -> dict[str, NDArray]:
        """The arrays of a file that `read_encoded_set` reads, by name; all but `header` have n
        rows."""
        rows, latents = self.codes.shape
        header = _Header(
            origin=self.origin,
            num_images=self.num_images,
            factor_names=self.factor_names,
            factor_sizes=self.factor_sizes,
            category_counts=self.category_counts,
            num_latents=latents,
            rows=rows,
            image_information=tuple(self.image_information.tolist()),
        )
        layout = _layout(rows, latents, len(header.factor_sizes), bool(header.category_counts))
        text = np.frombuffer(header.model_dump_json().encode(), np.uint8)
        return {"header": text} | {name: getattr(self, name) for name in layout}

    def save(self, path: Path) -> None:
        """Write the set as .npz, atomically.

        Raises:
            OSError: the file cannot be written.
        """
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **self.arrays())
        write_atomically(path, content.getvalue())


def encode_set(
    model: VAE | Run,
    dataset: Dataset | None,
    count: int | None = DEFAULT_COUNT,
    seed: int = 0,
    progress: Progress = no_progress,
    should_stop: ShouldStop = never,
) -> EncodedSet:
    """Encode and reconstruct images of a data set, each at most once.

    Images come in batches of 128, whatever the size of the set; the arrays of the result have at
    most 256 MiB, which are 1.2 million images for 10 categorical latents.

    Args:
        model: a run, or a model on the device of the data set.
        dataset: with or without factors.
        count: number of images, drawn uniformly without replacement; all if there are fewer. None
            takes all, or as many as the memory allows. `num_images` of the result says how many
            there are.
        seed: of the sampling, and of noise in images.
        progress: told the number of encoded images.
        should_stop: asked after each batch; once true, the images so far are returned, which are a
            smaller random sample.

    Raises:
        EvaluationError: there is no data set, its images have another shape than the model's, the
            count is below 1 or too large, or a number is not finite.
        ModelError: the model was imported without an encoder.
        RunError: the run has no readable model.
    """
    loaded, checked, origin = _prepared(model, dataset, count, seed)
    return _encode(loaded, checked, origin, progress, should_stop)


def cached_encoded_set(
    run: Run,
    dataset: Dataset | None,
    count: int | None = DEFAULT_COUNT,
    seed: int = 0,
    progress: Progress = no_progress,
    should_stop: ShouldStop = never,
) -> EncodedSet:
    """`encode_set`, read from the folder `cache/encoded` of the data folder if it is there.

    A set is encoded again if its file is damaged, or if the weights, the data set, the count or the
    seed have changed. The folder keeps at most 1 GiB: the sets that were used least recently are
    deleted. Arguments and errors as in `encode_set`; a stopped set is not kept.
    """
    model, checked, origin = _prepared(run, dataset, count, seed)
    digest = hashlib.sha256(origin.model_dump_json().encode()).hexdigest()
    path = data_folder() / "cache" / "encoded" / f"{digest[:24]}.npz"
    with suppress(DataError, OSError):
        encoded = read_encoded_set(path, origin)
        os.utime(path)  # the most recently used
        return encoded
    encoded = _encode(model, checked, origin, progress, should_stop)
    if len(encoded) == origin.count:
        with suppress(OSError):  # a full disk costs time, not the result
            path.parent.mkdir(parents=True, exist_ok=True)
            encoded.save(path)
            _delete_oldest(path.parent, MAX_CACHE_BYTES)
    return encoded


def read_encoded_set(path: Path, origin: EncodingOrigin | None = None) -> EncodedSet:
    """Read a set that `EncodedSet.save` wrote, and check all of it.

    Args:
        path: the file.
        origin: the origin that it must have; None for any.

    Raises:
        DataError: the file is missing, damaged, too large, or of another origin.
    """
    if not path.is_file():
        raise DataError(f"{path} is missing: encode the data set again")
    try:
        header, arrays = _read(path, origin)
        return _checked(header, arrays)
    except _OtherOrigin as error:
        raise DataError(f"{path} holds codes of {error}: encode the data set again") from None
    except Exception as error:  # the standard library raises almost any for a damaged file
        brief = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"{path} is damaged ({printable(brief, 120)}): delete it, and encode the data set again"
        ) from None


def draw_encoded(
    dataset: Dataset, encoded: EncodedSet, rows: Sequence[int] | NDArray[np.integer]
) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
    """The images that were encoded, noise included, in batches of at most 128.

    Args:
        dataset: the one that was encoded.
        encoded: its codes.
        rows: rows of the encoded set, each in [0, n); the order of the result is ascending.

    Yields:
        Rows int64 (B,), and their images (B, C, H, W).

    Raises:
        EvaluationError: the data set is another one, or has no such row.
    """
    if (dataset.name, dataset.num_images) != (encoded.origin.dataset, encoded.num_images):
        raise EvaluationError(
            f"the codes are of {encoded.num_images:,} images of {encoded.origin.dataset}, but the "
            f"data set is {dataset.name} with {dataset.num_images:,}: encode it"
        )
    wanted = np.unique(np.asarray(rows, dtype=np.int64))
    if len(wanted) and not 0 <= wanted[0] <= wanted[-1] < len(encoded):
        raise EvaluationError(
            f"rows are {wanted[0]} to {wanted[-1]}, but must be from 0 to {len(encoded) - 1}"
        )
    return _drawn(dataset, encoded.numbers, encoded.origin.seed, wanted)


def images_of(
    dataset: Dataset, encoded: EncodedSet, rows: Sequence[int] | NDArray[np.integer]
) -> Tensor:
    """The images (B, C, H, W) of rows of an encoded set, in the order of `rows` (B,).

    Arguments and errors as in `draw_encoded`.
    """
    found: dict[int, Tensor] = {}
    for batch_rows, images in draw_encoded(dataset, encoded, rows):
        found.update(zip(batch_rows.tolist(), images, strict=True))
    empty = torch.empty(0, *dataset.image_shape, device=dataset.device)
    return torch.stack([found[int(row)] for row in rows]) if len(rows) else empty


def _drawn(
    dataset: Dataset, numbers: NDArray[np.int64], seed: int, wanted: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
    """`draw_encoded` of checked rows, ascending."""
    if not dataset.is_noisy:
        for start in range(0, len(wanted), ENCODING_BATCH):
            rows = wanted[start : start + ENCODING_BATCH]
            yield rows, _batch_points(dataset, numbers[rows], seed, 0)[1]
        return
    batches = wanted // ENCODING_BATCH
    for batch in np.unique(batches).tolist():
        rows = wanted[batches == batch]
        start = batch * ENCODING_BATCH
        # The noise of an image depends on those before it in its batch.
        drawn = numbers[start : start + ENCODING_BATCH]
        yield rows, _batch_points(dataset, drawn, seed, batch)[1][rows - start]


def _batch_points(
    dataset: Dataset, numbers: NDArray[np.int64], seed: int, batch: int
) -> tuple[Tensor, Tensor]:
    noise_seed = int(np.random.SeedSequence([seed, batch]).generate_state(1)[0])
    generator = torch.Generator(dataset.device).manual_seed(noise_seed)
    return dataset.points_at(torch.from_numpy(numbers).to(dataset.device), generator)


@torch.inference_mode()
def _encode(
    model: VAE,
    dataset: Dataset,
    origin: EncodingOrigin,
    progress: Progress,
    should_stop: ShouldStop,
) -> EncodedSet:
    count = origin.count
    draw = np.random.default_rng(origin.seed).choice
    numbers = draw(dataset.num_images, count, replace=False).astype(np.int64)
    category_counts = model.latents.category_counts
    arrays: dict[str, NDArray] = {
        name: np.empty(shape, dtype)
        for name, (dtype, shape) in _layout(
            count, model.latents.num_latents, len(dataset.factor_sizes), bool(category_counts)
        ).items()
    }
    arrays["numbers"] = numbers
    usage: Tensor | float = 0.0
    done = 0
    progress(0, count)
    for start in range(0, count, ENCODING_BATCH):
        done = min(start + ENCODING_BATCH, count)
        part = slice(start, done)
        factors, images = _batch_points(
            dataset, numbers[part], origin.seed, start // ENCODING_BATCH
        )
        posterior = model.encode(images)
        codes = posterior.mean_code()
        results = {
            "codes": codes,
            "deviations": posterior.code_variance().clamp(min=0).sqrt(),
            "kl": posterior.kl(),
            "losses": reconstruction_loss(model.decode(codes), images),
        }
        for name, result in results.items():
            if not result.isfinite().all():
                raise EvaluationError(
                    f"{name} of the images are not finite: the model has diverged, train it again"
                )
        probabilities = posterior.probabilities()
        if probabilities is not None:
            highest = probabilities.max(-1)
            results |= {"probabilities": highest.values, "categories": highest.indices}
            usage = usage + probabilities.sum(0).cpu().double()  # not every accelerator has doubles
        if "factors" in arrays:
            results["factors"] = factors
        for name, result in results.items():
            arrays[name][part] = result.cpu().numpy()
        progress(done, count)
        if should_stop():
            break
    shares = (usage / done).numpy() if isinstance(usage, Tensor) else None
    mean_kl = arrays["kl"][:done].mean(axis=0, dtype=np.float64)
    # A copy of a part lets go of the memory of the rest.
    kept = arrays if done == count else {name: all_[:done].copy() for name, all_ in arrays.items()}
    return _assembled(
        _Header(
            origin=origin,
            num_images=dataset.num_images,
            factor_names=dataset.factor_names,
            factor_sizes=dataset.factor_sizes,
            category_counts=category_counts,
            num_latents=model.latents.num_latents,
            rows=done,
            image_information=tuple(image_information(mean_kl, shares, category_counts).tolist()),
        ),
        kept,
    )


def _prepared(
    source: VAE | Run, dataset: Dataset | None, count: int | None, seed: int
) -> tuple[VAE, Dataset, EncodingOrigin]:
    """The model, its data set and the origin of their codes, checked."""
    if dataset is None:
        raise EvaluationError("encoding needs a data set, but there is none: import its images")
    model, step = (
        source.load_model_and_step(dataset.device) if isinstance(source, Run) else (source, 0)
    )
    if dataset.image_shape != model.image_shape:
        raise EvaluationError(
            f"images of {dataset.name} are {dataset.image_shape} (C, H, W), but the model was made "
            f"for {model.image_shape}"
        )
    return model, dataset, _origin(source, model, step, dataset, count, seed)


def _origin(
    source: VAE | Run, model: VAE, step: int, dataset: Dataset, count: int | None, seed: int
) -> EncodingOrigin:
    if seed < 0:
        raise EvaluationError(f"the seed is {seed}, but must be at least 0")
    layout = _layout(
        1, model.latents.num_latents, len(dataset.factor_sizes), bool(model.latents.category_counts)
    )
    most = MAX_BYTES // _num_bytes(layout)
    if count is not None and not 1 <= count <= most:
        raise EvaluationError(f"count is {count:,}, but must be from 1 to {most:,}")
    weights = _hash_of_model(model)
    if isinstance(source, Run):
        # The files of an imported model are in the weights, but not how they are read.
        weights.update(repr(source.record.imported).encode())
    return EncodingOrigin(
        weights=weights.hexdigest(),
        step=step,
        dataset=dataset.name,
        images=_hash_of_images(dataset),
        count=min(count or most, dataset.num_images),
        seed=seed,
    )


def _hash_of_model(model: VAE) -> "hashlib._Hash":
    digest = hashlib.sha256(
        repr((type(model.latents).__name__, model.latents.category_counts)).encode()
    )
    if isinstance(model.latents, CategoricalLatents):  # how they draw is not in the weights
        digest.update(repr(model.latents.choices).encode())
    for name, tensor in sorted(model.state_dict().items()):
        array = tensor.detach().cpu().contiguous().numpy()
        digest.update(f"{name} {array.dtype} {array.shape} ".encode())
        digest.update(array.tobytes())
    return digest


def _hash_of_images(dataset: Dataset) -> str:
    """A few images stand for all: a set that is imported again has another time, and a redrawn one
    changes everywhere."""
    description = (
        dataset.name,
        dataset.num_images,
        dataset.image_shape,
        dataset.factor_names,
        dataset.factor_sizes,
        imported_at(dataset.name),
    )
    last = dataset.num_images - 1
    _, images = _batch_points(dataset, np.array([0, last // 2, last]), 0, 0)
    return hashlib.sha256(repr(description).encode() + to_pixels(images).tobytes()).hexdigest()


# Files

_Layout = dict[str, tuple[type[np.generic], tuple[int, ...]]]


class _OtherOrigin(Exception):
    """The file is sound, but another set was asked for."""


class _Header(BaseModel):
    """All but the arrays, as JSON in the array `header`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[2] = 2
    origin: EncodingOrigin
    num_images: int = Field(ge=1)
    factor_names: tuple[str, ...]
    factor_sizes: tuple[int, ...]
    category_counts: tuple[int, ...]
    num_latents: int = Field(ge=1)
    rows: int = Field(ge=1)
    image_information: tuple[float, ...]


def _layout(rows: int, latents: int, factors: int, has_categories: bool) -> _Layout:
    """Type and shape of each array; arrays that would be empty are left out."""
    codes = (rows, latents)
    layout: _Layout = {
        "numbers": (np.int64, (rows,)),
        "codes": (np.float32, codes),
        "deviations": (np.float32, codes),
        "kl": (np.float32, codes),
        "losses": (np.float32, (rows,)),
    }
    if factors:
        layout["factors"] = (np.int64, (rows, factors))
    if has_categories:
        layout |= {"categories": (np.int32, codes), "probabilities": (np.float32, codes)}
    return layout


def _num_bytes(layout: _Layout) -> int:
    return sum(np.dtype(dtype).itemsize * math.prod(shape) for dtype, shape in layout.values())


def _assembled(header: _Header, arrays: dict[str, NDArray]) -> EncodedSet:
    return EncodedSet(
        origin=header.origin,
        num_images=header.num_images,
        factor_names=header.factor_names,
        factor_sizes=header.factor_sizes,
        category_counts=header.category_counts,
        numbers=arrays["numbers"],
        factors=arrays.get("factors", np.empty((header.rows, 0), np.int64)),
        codes=arrays["codes"],
        deviations=arrays["deviations"],
        categories=arrays.get("categories"),
        probabilities=arrays.get("probabilities"),
        kl=arrays["kl"],
        losses=arrays["losses"],
        image_information=np.array(header.image_information),
    )


def _read(path: Path, origin: EncodingOrigin | None) -> tuple[_Header, dict[str, NDArray]]:
    if path.stat().st_size > MAX_BYTES + 2 * _MAX_HEADER_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES // 2**20} MB")
    everything = ("header", *_layout(1, 1, 1, True))
    file = NpzFile(path, everything)
    try:
        if "header" not in file.arrays or file.arrays["header"].total_bytes > _MAX_HEADER_BYTES:
            raise ValueError("it has no header of a sound size")
        header = _header(file.read_whole("header").tobytes())
        if origin is not None and header.origin != origin:
            raise _OtherOrigin(_difference(header.origin, origin))
        layout = _layout(
            header.rows, header.num_latents, len(header.factor_sizes), bool(header.category_counts)
        )
        # Before any is read: packed arrays may be far larger than their file.
        if _num_bytes(layout) > MAX_BYTES:
            raise ValueError(f"its arrays have more than {MAX_BYTES // 2**20} MB")
        for name, (dtype, shape) in layout.items():
            info = file.arrays.get(name)
            found = "missing" if info is None else f"{np.dtype(info.dtype)} {info.shape}"
            if info is None or (np.dtype(info.dtype), info.shape) != (np.dtype(dtype), shape):
                raise ValueError(f"{name} is {found}, not {np.dtype(dtype)} {shape}")
        # Bytes from a file are read-only, and torch would warn of that.
        return header, {name: file.read_whole(name).copy() for name in layout}
    finally:
        file.close()


def _header(text: bytes) -> _Header:
    try:
        return _Header.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"header: {place}: {first['msg']}") from None


def _difference(found: EncodingOrigin, expected: EncodingOrigin) -> str:
    if found.dataset != expected.dataset:
        return f"the data set {printable(found.dataset)}, not {expected.dataset}"
    if found.images != expected.images:
        return f"{expected.dataset} with other images"
    if found.step != expected.step:
        return f"step {found.step:,}, not {expected.step:,}"
    if found.weights != expected.weights:
        return "other weights"
    return (
        f"{found.count:,} images with seed {found.seed}, not {expected.count:,} with seed "
        f"{expected.seed}"
    )


def _checked(header: _Header, arrays: dict[str, NDArray]) -> EncodedSet:
    if len(header.factor_names) != len(header.factor_sizes):
        raise ValueError(f"{len(header.factor_names)} names for {len(header.factor_sizes)} factors")
    if header.category_counts and len(header.category_counts) != header.num_latents:
        raise ValueError(
            f"{len(header.category_counts)} numbers of categories for {header.num_latents} latents"
        )
    if len(header.image_information) != header.num_latents:
        raise ValueError(
            f"{len(header.image_information)} amounts of information for "
            f"{header.num_latents} latents"
        )
    if not np.isfinite(header.image_information).all():
        raise ValueError("image_information holds numbers that are not finite")
    if not header.rows <= header.origin.count <= header.num_images:
        raise ValueError(f"{header.rows} of {header.origin.count} of {header.num_images} images")
    for name, array in arrays.items():
        if array.dtype == np.float32 and not np.isfinite(array).all():
            raise ValueError(f"{name} holds numbers that are not finite")
    _check_range("numbers", arrays["numbers"], header.num_images)
    if len(np.unique(arrays["numbers"])) < header.rows:
        raise ValueError("numbers hold an image twice")
    if header.factor_sizes:
        _check_range("factors", arrays["factors"], np.array(header.factor_sizes))
    if header.category_counts:
        _check_range("categories", arrays["categories"], np.array(header.category_counts))
    return _assembled(header, arrays)


def _check_range(name: str, array: NDArray, size: int | NDArray) -> None:
    if not ((array >= 0) & (array < size)).all():
        raise ValueError(f"{name} are out of range")


def _delete_oldest(folder: Path, most_bytes: int) -> None:
    """Delete files, those used least recently first, until the rest has at most `most_bytes`."""
    files = []
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # another process deletes too
            status = path.stat()
            files.append((status.st_mtime_ns, status.st_size, path))
    total = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if total <= most_bytes:
            return
        path.unlink(missing_ok=True)
        total -= size
