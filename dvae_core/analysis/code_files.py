"""The codes and posteriors of encoded images as files: CSV and NPZ, written part by part."""

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from dvae_core.analysis.encoded import EncodedSet, cached_encoded_set, draw_encoded
from dvae_core.analysis.image_table import csv_parts
from dvae_core.data import load_dataset
from dvae_core.data.dataset import Dataset
from dvae_core.models.latents import CategoricalLatents
from dvae_core.models.vae import VAE
from dvae_core.progress import Progress, no_progress
from dvae_core.runs.run import Run
from dvae_core.system.files import check_output, partial_file

ENDINGS = (".csv", ".npz")

_ABOUT = """\
Codes of {rows:,} of {num_images:,} images of the data set {dataset},
by the weights {of_run} at step {step:,}.
Row i of every array belongs to the same image. Read it with numpy.load; no array is pickled.
n = {rows} images, N = {latents} latents, F = {factors} factors{categories}.

numbers         int64 (n,)        number of the image in the data set
factors         int64 (n, F)      its factors: {names}
codes           float32 (n, N)    mean of the posterior, which the decoder reads
deviations      float32 (n, N)    standard deviation of the posterior
kl              float32 (n, N)    KL divergence of the posterior from the prior, nats
losses          float32 (n,)      Bernoulli cross entropy of the image decoded from its codes,
                                  summed over pixels and channels, nats
header          uint8             model, data set, count and seed, as JSON
"""
_ABOUT_CATEGORIES = """\
categories      int32 (n, N)      most likely category, counted from 0
probabilities   float32 (n, N)    its probability
"""
_ABOUT_POSTERIORS = """\
posteriors      float32 (n, N, K) probability of every category; rows sum to one, and a latent of
                                  fewer than K categories has zeros at the end
category_values float32 (N, K)    value of every category; codes are posteriors times these, summed
"""
_ABOUT_GAUSSIAN = """
The posterior of each latent is normal, with the mean in codes and the scale in deviations.
"""


@dataclass(frozen=True)
class PosteriorSource:
    """What computes the posteriors of an encoded set again, which holds only their summaries.

    Attributes:
        model: of the codes, with categorical latents.
        dataset: that was encoded.
        encoded: the whole set.
    """

    model: VAE
    dataset: Dataset
    encoded: EncodedSet

    @property
    def latents(self) -> CategoricalLatents:
        """Of the model."""
        assert isinstance(self.model.latents, CategoricalLatents)
        return self.model.latents

    @torch.inference_mode()
    def parts(
        self, rows: NDArray[np.integer], progress: Progress = no_progress
    ) -> Iterator[NDArray[np.float32]]:
        """Probabilities of all categories, float32 (B, N, K) part by part.

        Args:
            rows: of the encoded set, ascending.
            progress: told the number of encoded images.

        Raises:
            EvaluationError: the data set is another one, or has no such row.
        """
        done = 0
        for part, images in draw_encoded(self.dataset, self.encoded, rows):
            probabilities = self.model.encode(images).probabilities()
            assert probabilities is not None
            done += len(part)
            progress(done, len(rows))
            yield probabilities.cpu().numpy()


def posterior_source(model: VAE, dataset: Dataset, encoded: EncodedSet) -> PosteriorSource | None:
    """What computes the posteriors of a set; None for a family whose posteriors are in its codes
    and deviations."""
    if not isinstance(model.latents, CategoricalLatents):
        return None
    return PosteriorSource(model, dataset, encoded)


def export_codes(
    run: Run,
    output: Path | str,
    count: int | None = None,
    seed: int = 0,
    *,
    posteriors: bool = True,
    progress: Progress = no_progress,
) -> EncodedSet:
    """Write codes and posteriors of a run's data set as .csv or .npz.

    The memory is that of an encoded set, at most 256 MiB: posteriors are written batch by batch.
    The array `README` of a .npz describes the others, and `read_encoded_set` reads it up to 256
    MiB. The columns of a .csv are those of `image_table`, then `posterior 2.5`, the probability of
    category 5 of latent 2.

    Args:
        run: with an encoder.
        output: file to write; its ending chooses the format.
        count: number of images, drawn without replacement; all if there are fewer, or by default.
        seed: of the drawing, and of noise in images.
        posteriors: whether to write the probability of every category, float32 (n, N, K). A normal
            posterior is always there, as its mean and its standard deviation.
        progress: told the number of encoded images; those whose posteriors are written count twice.

    Returns:
        The codes that were written.

    Raises:
        ConfigError: the ending is another one, or the folder of the output is missing.
        EvaluationError: the count or the seed is out of range, or a number is not finite.
        ModelError: the model was imported without an encoder.
        DataError: the data set is missing, or another process writes the same file.
        RunError: the run has no readable model.
    """
    path = Path(output)
    check_output(path, ENDINGS)
    model = run.load_model()
    dataset = load_dataset(run.record.dataset, run.record.image_size)
    twice = 1 + (posteriors and bool(model.latents.category_counts))
    encoded = cached_encoded_set(
        run, dataset, count, seed, lambda done, total: progress(done, twice * total)
    )
    source = posterior_source(model, dataset, encoded) if posteriors else None
    with partial_file(path) as file:
        write_codes(
            file,
            path.suffix,
            encoded,
            np.arange(len(encoded)),
            source,
            run.id,
            lambda done, total: progress(total + done, 2 * total),
        )
    return encoded


def write_codes(
    file: BinaryIO,
    ending: str,
    encoded: EncodedSet,
    rows: NDArray[np.integer],
    source: PosteriorSource | None = None,
    run_id: str = "",
    progress: Progress = no_progress,
) -> None:
    """Write rows of an encoded set as `export_codes` does.

    Args:
        file: takes the content, and can seek.
        ending: .csv or .npz.
        encoded: the whole set.
        rows: (B,), ascending.
        source: of all posteriors; None leaves them out.
        run_id: for the description.
        progress: told the number of images whose posteriors are written.
    """
    chosen = encoded if len(rows) == len(encoded) else encoded.part(rows)
    parts = None if source is None else source.parts(rows, progress)
    if ending.lower() == ".csv":
        for text in csv_parts(chosen, parts):
            file.write(text.encode())
        return
    arrays = {"README": np.array(_describe(chosen, source, run_id)), **chosen.arrays()}
    with zipfile.ZipFile(file, "w", allowZip64=True) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                npy_format.write_array(member, array, allow_pickle=False)
        if source is None or parts is None:
            return
        values = source.latents.category_values.detach().cpu().numpy()
        with archive.open("category_values.npy", "w") as member:
            npy_format.write_array(member, values, allow_pickle=False)
        with archive.open("posteriors.npy", "w", force_zip64=True) as member:
            layout = {"descr": "<f4", "fortran_order": False, "shape": (len(rows), *values.shape)}
            npy_format.write_array_header_1_0(member, layout)
            for part in parts:
                member.write(part.astype("<f4").tobytes())


def code_file(
    ending: str,
    encoded: EncodedSet,
    rows: NDArray[np.integer],
    source: PosteriorSource | None = None,
    run_id: str = "",
) -> bytes:
    """The content of the file that `write_codes` writes; arguments as there."""
    file = io.BytesIO()
    write_codes(file, ending, encoded, rows, source, run_id)
    return file.getvalue()


def _describe(encoded: EncodedSet, source: PosteriorSource | None, run_id: str) -> str:
    counts = encoded.category_counts
    text = _ABOUT.format(
        rows=len(encoded),
        num_images=encoded.num_images,
        dataset=encoded.origin.dataset,
        step=encoded.origin.step,
        of_run=f"of the run {run_id}" if run_id else "of a model",
        latents=encoded.num_latents,
        factors=len(encoded.factor_names),
        categories=f", K = {max(counts)} categories" if counts else "",
        names=", ".join(encoded.factor_names) or "none; the array is left out",
    )
    text += _ABOUT_CATEGORIES if counts else _ABOUT_GAUSSIAN
    return text + _ABOUT_POSTERIORS if source is not None else text
