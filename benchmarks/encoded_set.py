"""Time to encode 10,000 images of 64x64 with all that the analysis of a data set needs.

    python -m benchmarks.encoded_set

Codes, KL and losses, of the shipped runs whose data sets have that many images; then the same set
from its file, and what is computed from it. Nothing is written outside a temporary folder.
"""

import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import TypeVar

from benchmarks.tables import head, row
from benchmarks.timing import seconds
from dvae_core.analysis.conditions import slice_of
from dvae_core.analysis.encoded import DEFAULT_COUNT, cached_encoded_set
from dvae_core.analysis.latent_data import category_images, counterfactual_pair, latent_data
from dvae_core.analysis.slices import slice_report
from dvae_core.data import load_dataset
from dvae_core.data.dataset import Dataset
from dvae_core.runs.catalog import SHIPPED_ROOT, list_runs
from dvae_core.runs.run import Run
from dvae_core.system.memory import keep_freed_memory

REPEATS = 5
T = TypeVar("T")


def main() -> None:
    keep_freed_memory()  # as the app does
    print(head("what", "seconds"))
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DVAE_DATA"] = folder
        for run in list_runs(SHIPPED_ROOT):
            dataset = load_dataset(run.record.dataset, run.record.image_size)
            if dataset.num_images >= DEFAULT_COUNT and dataset.image_shape[1:] == (64, 64):
                _measure(run, dataset)


def _measure(run: Run, dataset: Dataset) -> None:
    # A first batch prepares the networks.
    cached_encoded_set(run, dataset, 128, seed=1)
    encode = partial(cached_encoded_set, run, dataset)
    encoded = _timed(f"encode {DEFAULT_COUNT:,} images, {run.id}", encode)
    size = len(encoded)
    _report(f"read {size:,} codes, {run.id}", median(seconds(encode, REPEATS)))
    latent = int(encoded.mean_kl.argmax())
    data = latent_data(encoded, latent)
    images = partial(category_images, dataset, encoded, data)
    report = partial(slice_report, encoded, slice_of(encoded, f"latent {latent} > 0"))
    for what, work in (
        ("statistics of a latent", partial(latent_data, encoded, latent)),
        ("counterfactual pair of a latent", partial(counterfactual_pair, encoded, latent)),
        ("report of a slice", report),
        ("mean images of a latent's categories", images),
    ):
        _report(f"{what}, {run.id}", median(seconds(work, REPEATS)))


def _timed(what: str, work: Callable[[], T]) -> T:
    started_at = time.perf_counter()
    result = work()
    _report(what, time.perf_counter() - started_at)
    return result


def _report(what: str, spent: float) -> None:
    print(row(what, f"{spent:.3f}"), flush=True)


if __name__ == "__main__":
    main()
