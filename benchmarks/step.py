"""Time of one training step of a 64x64x1 model at batch size 64: ours, a plain one, and peers.

    python -m benchmarks.step

Each round runs every variant in a process of its own, one after another. `% of peak` compares the
operations per second of the plain step (convolutions and linear layers only, as PyTorch's counter
does) with those of a large matrix product on the same cores.

Peers train the same Gaussian network with the step of their own framework, on prepared images; ours
makes its images within the step. `--peers PYTHON` names an interpreter whose environment has the
peers and this project's requirements, such as

    python3 -m venv peers && peers/bin/pip install -r requirements.txt pythae disent torchvision
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable

import torch

from benchmarks.tables import REPOSITORY, head, row
from benchmarks.timing import seconds

BATCH, SIZE = 64, 64
STEPS, WARM_UP = 40, 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--peers", default=sys.executable, metavar="PYTHON")
    parser.add_argument("--measure", choices=VARIANTS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        torch.set_num_threads(asked.threads)
        print(json.dumps(VARIANTS[asked.measure]()))
        return
    results: dict[str, list[dict[str, float | str]]] = {name: [] for name in VARIANTS}
    for _ in range(asked.rounds):
        for name in VARIANTS:
            python = asked.peers if name in PEERS else sys.executable
            results[name].append(_in_a_process(python, name, asked.threads))
    print(f"{asked.threads} threads, {asked.rounds} rounds, median of {STEPS} steps in each:\n")
    print(table(results))


def table(results: dict[str, list[dict[str, float | str]]]) -> str:
    """A Markdown table of the median round of each variant."""

    def median(name: str, key: str) -> float:
        return statistics.median(float(result[key]) for result in results[name])

    peak = median("matrix product", "gflop_per_second")
    reference = median("plain, channels last", "milliseconds")
    lines = [head("step", "ms", "images/s", "times plain, channels last", "% of peak")]
    for name, rounds in results.items():
        if "problem" in rounds[0]:
            lines.append(row(name, f"not measured: {rounds[0]['problem']}", "", "", ""))
        elif name != "matrix product":
            milliseconds = median(name, "milliseconds")
            of_peak = ""
            if "gflop" in rounds[0]:
                of_peak = f"{median(name, 'gflop') / milliseconds * 1e3 / peak:.0%}"
            images, ratio = BATCH * 1e3 / milliseconds, milliseconds / reference
            cells = f"{milliseconds:.1f}", f"{images:,.0f}", f"{ratio:.2f}", of_peak
            lines.append(row(name, *cells))
    return "\n".join([*lines, "", f"Matrix product 2048x2048: {peak:.0f} GFLOP/s."])


def matrix_product() -> dict[str, float]:
    """GFLOP/s of a product of two 2048x2048 matrices, the best of twenty."""
    left, right = torch.randn(2, 2048, 2048)
    return {"gflop_per_second": 2 * 2048**3 / 1e9 / min(seconds(lambda: left @ right, 20, 3))}


def ours(latents: str, objective: str = "elbo") -> dict[str, float]:
    """The step of `Training.advance`."""
    from dvae_core.system.memory import keep_freed_memory

    keep_freed_memory()  # as the command line does
    training = _training(latents, objective)
    return {**_milliseconds(training.advance), "gflop": _gflop(latents)}


def plain(latents: str, objective: str = "elbo", channels_last: bool = False) -> dict[str, float]:
    """The same step made of PyTorch's own layers, see benchmarks/plain.py."""
    from benchmarks.plain import PlainStep

    step = PlainStep(_training(latents, objective), channels_last)
    return {**_milliseconds(lambda: step().item()), "gflop": _gflop(latents)}


def pythae() -> dict[str, float | str]:
    """Forward, backward and update as in pythae's BaseTrainer."""
    try:
        from pythae.models import VAE, VAEConfig
        from pythae.models.base.base_utils import ModelOutput
        from pythae.models.nn import BaseDecoder, BaseEncoder
    except Exception as error:  # whatever the environment lacks
        return {"problem": f"{type(error).__name__}: {error}"[:80]}
    from benchmarks.plain import PlainDecoder, PlainEncoder

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.network = PlainEncoder(1, SIZE, 20)

        def forward(self, images: torch.Tensor) -> object:
            mean, log_variance = self.network(images).chunk(2, 1)
            return ModelOutput(embedding=mean, log_covariance=log_variance)

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.network = PlainDecoder(1, SIZE, 10)

        def forward(self, codes: torch.Tensor) -> object:
            return ModelOutput(reconstruction=self.network(codes).sigmoid())

    config = VAEConfig(input_dim=(1, SIZE, SIZE), latent_dim=10, reconstruction_loss="bce")
    model = VAE(config, Encoder(), Decoder()).train()
    adam = torch.optim.Adam(model.parameters(), lr=1e-4)
    images = _images()

    def step() -> None:
        adam.zero_grad()
        loss = model({"data": images}).loss
        loss.backward()
        adam.step()
        loss.item()

    return {**_milliseconds(step), "gflop": _gflop("gaussian")}


def disent() -> dict[str, float | str]:
    """`do_training_step` of disent's Vae, backward and update."""
    # disent imports torchvision, which names two compiled operators that its wheel lacks where it
    # was built for another torch; nothing here calls them.
    for name in ("torchvision::nms", "torchvision::qnms"):
        if not torch._C._dispatch_has_kernel(name):
            torch.library.define(name, "(Tensor dets, Tensor scores, float limit) -> Tensor")
    try:
        from disent.frameworks.vae import Vae
        from disent.model import AutoEncoder, DisentDecoder, DisentEncoder
    except Exception as error:  # whatever the environment lacks
        return {"problem": f"{type(error).__name__}: {error}"[:80]}
    from benchmarks.plain import PlainDecoder, PlainEncoder

    shape = (1, SIZE, SIZE)

    class Encoder(DisentEncoder):
        def __init__(self) -> None:
            super().__init__(x_shape=shape, z_size=10, z_multiplier=2)
            self.network = PlainEncoder(1, SIZE, 20)

        def encode(self, images: torch.Tensor) -> torch.Tensor:
            return self.network(images)

    class Decoder(DisentDecoder):
        def __init__(self) -> None:
            super().__init__(x_shape=shape, z_size=10)
            self.network = PlainDecoder(1, SIZE, 10)

        def decode(self, codes: torch.Tensor) -> torch.Tensor:
            return self.network(codes)

    framework = Vae(
        model=AutoEncoder(Encoder(), Decoder()),
        cfg=Vae.cfg(recon_loss="bce", loss_reduction="mean_sum"),
    )
    adam = torch.optim.Adam(framework.parameters(), lr=1e-4)
    images = _images()

    def step() -> None:
        adam.zero_grad()
        framework.do_training_step({"x_targ": (images,)}, 0).backward()
        adam.step()

    return {**_milliseconds(step), "gflop": _gflop("gaussian")}


PEERS = ("pythae, gaussian", "disent, gaussian")
VARIANTS: dict[str, Callable[[], dict[str, float | str] | dict[str, float]]] = {
    "matrix product": matrix_product,
    "plain": lambda: plain("categorical"),
    "plain, channels last": lambda: plain("categorical", channels_last=True),
    "ours": lambda: ours("categorical"),
    "plain, channels last, factor": lambda: plain("categorical", "factor", channels_last=True),
    "ours, factor": lambda: ours("categorical", "factor"),
    "ours, gaussian": lambda: ours("gaussian"),
    "pythae, gaussian": pythae,
    "disent, gaussian": disent,
}


def _training(latents: str, objective: str):  # type: ignore[no-untyped-def]
    from dvae_core.config import RunConfig
    from dvae_core.data import load_dataset
    from dvae_core.training.trainer import Training

    config = RunConfig.from_preset(
        None,
        dataset="sprites",
        latents=latents,
        objective=objective,
        image_size=SIZE,
        batch_size=BATCH,
        noise_scale_end=0.5,
        threads=torch.get_num_threads(),
    )
    device = torch.device("cpu")
    return Training(config, load_dataset("sprites", SIZE, device), device)


def _images() -> torch.Tensor:
    from dvae_core.data import load_dataset

    return load_dataset("sprites", SIZE).sample_images(BATCH, torch.Generator().manual_seed(0))


def _gflop(latents: str) -> float:
    from torch.utils.flop_counter import FlopCounterMode

    from benchmarks.plain import PlainStep

    step = PlainStep(_training(latents, "elbo"))
    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops() / 1e9


def _milliseconds(step: Callable[[], object]) -> dict[str, float]:
    return {"milliseconds": 1e3 * statistics.median(seconds(step, STEPS, WARM_UP))}


def _in_a_process(python: str, variant: str, threads: int) -> dict[str, float | str]:
    done = subprocess.run(
        [python, "-m", "benchmarks.step", "--measure", variant, "--threads", str(threads)],
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        return {"problem": (done.stderr.strip().splitlines() or ["it failed"])[-1][:80]}
    return json.loads(done.stdout.strip().splitlines()[-1])


if __name__ == "__main__":
    main()
