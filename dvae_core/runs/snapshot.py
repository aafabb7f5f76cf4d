"""A snapshot: what a model showed at one step of its training, in one small file of arrays."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from dvae_core.errors import RunError
from dvae_core.system.files import write_atomically

MAX_BYTES = 16 * 2**20


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
    try:
        with safe_open(path, framework="np") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            names = json.loads((file.metadata() or {})["factor_names"])
        return _checked(arrays, names, step, num_latents, image_shape)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise RunError(f"{path} is damaged or of another run ({_brief(error)})") from None


def _checked(
    arrays: dict[str, NDArray],
    names: object,
    step: int,
    num_latents: int,
    image_shape: tuple[int, int, int],
) -> Snapshot:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("factor_names is not a list of names")
    channels, height, width = image_shape
    picture = (height, width, channels)
    count, num_factors = len(arrays["images"]), len(names)
    num_traversed = len(arrays["latents"])

    def take(name: str, dtype: type[np.generic], shape: tuple[int, ...]) -> NDArray:
        array = arrays[name]
        if array.dtype != dtype or array.shape != shape:
            raise ValueError(
                f"{name} is {array.dtype} {array.shape}, not {np.dtype(dtype)} {shape}"
            )
        if array.dtype == np.float32 and not np.isfinite(array).all():
            raise ValueError(f"{name} holds numbers that are not finite")
        return array

    latents = take("latents", np.int64, (num_traversed,))
    if not ((latents >= 0) & (latents < num_latents)).all():
        raise ValueError(f"latents are {latents.tolist()[:8]}, but the run has {num_latents}")
    lengths = [len(arrays[f"values/{row}"]) for row in range(num_traversed)]
    return Snapshot(
        step=step,
        images=take("images", np.uint8, (count, *picture)),
        reconstructions=take("reconstructions", np.uint8, (count, *picture)),
        latents=tuple(latents.tolist()),
        values=tuple(
            take(f"values/{row}", np.float32, (length,)) for row, length in enumerate(lengths)
        ),
        traversals=tuple(
            take(f"traversal/{row}", np.uint8, (length, *picture))
            for row, length in enumerate(lengths)
        ),
        kl=take("kl", np.float32, (num_latents,)),
        information=take("information", np.float32, (num_latents, num_factors)),
        factor_entropy=take("factor_entropy", np.float32, (num_factors,)),
        factor_names=tuple(names),
    )


def _brief(error: Exception) -> str:
    return str(error).splitlines()[0][:120] if str(error) else type(error).__name__
