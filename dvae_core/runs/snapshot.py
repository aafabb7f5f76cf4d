"""A snapshot: what a model showed at one step of its training, in one small file of arrays."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from dvae_core.errors import RunError, one_line, printable
from dvae_core.runs.storage import open_tensors
from dvae_core.system.files import write_atomically
from dvae_core.system.strict_json import parse_json

MAX_BYTES = 16 * 2**20
_MAX_FACTORS, _MAX_NAME = 256, 200
_LARGEST = 1e9
_TYPES = {"U8", "I64", "F32"}


@dataclass(frozen=True)
class Snapshot:
    """Reconstructions, traversals and information of a model on a few fixed images.

    Attributes:
        step: number of updates.
        images: images of the data set, uint8 (count, H, W, C); the same for all its runs.
        reconstructions: images decoded from their mean codes, uint8 (count, H, W, C).
        latents: the traversed latents by descending KL, (L,).
        values: values of each traversal, L arrays (V,).
        traversals: L arrays uint8 (V, H, W, C), starting from the first of `images`.
        kl: mean KL of each latent, nats, float32 (N,); where posteriors are points, and their KL is
            that of any image, the entropy of the categories.
        information: mutual information with the factors, nats, float32 (N, F).
        factor_entropy: entropy of each factor, nats, float32 (F,).
        factor_names: (F,); () for a data set without factors.
    """

    step: int
    images: NDArray[np.uint8]
    reconstructions: NDArray[np.uint8]
    latents: tuple[int, ...]
    values: tuple[NDArray[np.float32], ...]
    traversals: tuple[NDArray[np.uint8], ...]
    kl: NDArray[np.float32]
    information: NDArray[np.float32]
    factor_entropy: NDArray[np.float32]
    factor_names: tuple[str, ...]


def write_snapshot(path: Path, snapshot: Snapshot) -> None:
    """Replace the file of a snapshot; equal snapshots give equal bytes."""
    arrays: dict[str, NDArray] = {
        "images": snapshot.images,
        "reconstructions": snapshot.reconstructions,
        "latents": np.array(snapshot.latents, dtype=np.int64),
        "kl": snapshot.kl,
        "information": snapshot.information,
        "factor_entropy": snapshot.factor_entropy,
    }
    for row, (values, traversal) in enumerate(
        zip(snapshot.values, snapshot.traversals, strict=True)
    ):
        arrays[f"values/{row}"] = values
        arrays[f"traversal/{row}"] = traversal
    metadata = {"factor_names": json.dumps(snapshot.factor_names)}
    plain = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    write_atomically(path, save(plain, metadata))


def read_snapshot(
    path: Path, step: int, num_latents: int, image_shape: tuple[int, int, int]
) -> Snapshot:
    """Read and check the snapshot of a run with N latents and images (C, H, W).

    Raises:
        RunError: the file is missing or damaged, or belongs to another run.
    """
    if not path.is_file():
        raise RunError(f"{path} is missing: a training removes some of its snapshots")
    if path.stat().st_size > MAX_BYTES:
        raise RunError(f"{path} has more than {MAX_BYTES // 2**20} MB: it is not a snapshot")
    with open_tensors(path, "np") as file:
        for name in file.keys():  # noqa: SIM118 (no mapping)
            dtype = file.get_slice(name).get_dtype()
            if dtype not in _TYPES:  # numpy lacks some
                raise ValueError(f"{printable(name)} has type {dtype}")
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = file.metadata() or {}
    try:
        names = parse_json(metadata["factor_names"].encode())
        return _checked(arrays, names, step, num_latents, image_shape)
    except KeyError as error:
        raise RunError(f"{path} is damaged or of another run ({error} is missing)") from None
    except ValueError as error:
        reason = str(error).splitlines()[0][:120]
        raise RunError(f"{path} is damaged or of another run ({reason})") from None


def _checked(
    arrays: dict[str, NDArray],
    names: object,
    step: int,
    num_latents: int,
    image_shape: tuple[int, int, int],
) -> Snapshot:
    if not isinstance(names, list) or not all(
        isinstance(name, str) and len(name) <= _MAX_NAME for name in names
    ):
        raise ValueError("factor_names is not a list of names")
    if len(names) > _MAX_FACTORS:
        raise ValueError(f"it has {len(names):,} factors")
    channels, height, width = image_shape
    picture = (height, width, channels)
    num_factors = len(names)
    unread = set(arrays)

    def take(name: str, dtype: type[np.generic], shape: tuple[int | None, ...]) -> NDArray:
        """An array of this shape, where None is any size of at least 1."""
        array = arrays[name]
        unread.discard(name)
        fits = len(array.shape) == len(shape) and all(
            found == size or (size is None and found > 0)
            for found, size in zip(array.shape, shape, strict=True)
        )
        if array.dtype != dtype or not fits:
            raise ValueError(
                f"{name} is {array.dtype} {array.shape}, not {np.dtype(dtype)} {shape}"
            )
        if array.dtype == np.float32 and not (np.abs(array) < _LARGEST).all():
            raise ValueError(f"{name} holds numbers that are not finite, or far too large")
        return array

    images = take("images", np.uint8, (None, *picture))
    latents = take("latents", np.int64, (None,)).tolist()
    if len(set(latents)) < len(latents) or not all(0 <= i < num_latents for i in latents):
        raise ValueError(f"latents are {latents[:8]}, but the run has {num_latents}")
    values = [take(f"values/{row}", np.float32, (None,)) for row in range(len(latents))]
    if not all((np.diff(row) > 0).all() for row in values):
        raise ValueError("the values of a traversal do not ascend")
    checked = Snapshot(
        step=step,
        images=images,
        reconstructions=take("reconstructions", np.uint8, images.shape),
        latents=tuple(latents),
        values=tuple(values),
        traversals=tuple(
            take(f"traversal/{row}", np.uint8, (len(of_latent), *picture))
            for row, of_latent in enumerate(values)
        ),
        kl=take("kl", np.float32, (num_latents,)),
        information=take("information", np.float32, (num_latents, num_factors)),
        factor_entropy=take("factor_entropy", np.float32, (num_factors,)),
        factor_names=tuple(map(one_line, names)),
    )
    if unread:
        raise ValueError(f"{printable(min(unread))} is unexpected")
    return checked
