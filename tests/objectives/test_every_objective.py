"""What holds for each objective with each family of latents."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from dvae_core.config import FAMILIES, OBJECTIVES, FamilyName, RunConfig, why_not
from dvae_core.models.latents import build_latents
from dvae_core.objectives import BUILDERS, build_objective
from dvae_core.runs.run import Run, State
from dvae_core.training.extension import extend_run
from dvae_core.training.trainer import train

# Weights that leave the reconstruction something to say in a few steps.
SMALL: dict[str, Any] = {
    "beta": 2.0,
    "capacity_weight": 5.0,
    "capacity_max": 2.0,
    "capacity_steps": 10,
    "gamma": 3.0,
    "dip_weight": 2.0,
}
PAIRS = [
    (name, family)
    for name in OBJECTIVES
    for family, info in FAMILIES.items()
    if not why_not(name, info)
]
every_pair = pytest.mark.parametrize(("objective", "latents"), PAIRS)


def small(objective: str, latents: str) -> RunConfig:
    """Of three latents with few categories, of two sizes where they may differ."""
    able = "cardinalities" in FAMILIES[cast(FamilyName, latents)].settings
    return RunConfig.model_validate(
        {"objective": objective, "latents": latents, "num_latents": 3, "num_categories": 4}
        | {"cardinalities": (3, 2) if able else (), "capacity_max": 2.0}
    )


def test_each_one_is_both_described_and_computed() -> None:
    assert list(BUILDERS) == list(OBJECTIVES)


def new_run(folder: Path, config: RunConfig, **settings: Any) -> Run:
    config = RunConfig.model_validate(config.model_dump() | SMALL | settings)
    return Run.create(folder, config, (1, 32, 32))


@every_pair
def test_its_terms_have_the_names_that_it_says(objective: str, latents: str) -> None:
    config = small(objective, latents)
    built = build_objective(config)
    family = build_latents(config)
    generator = torch.Generator().manual_seed(0)
    parameters = torch.randn(6, family.head_size, generator=generator, requires_grad=True)
    posterior = family.posterior(parameters)
    code = posterior.sample(generator)
    noise = built.noise((6, 3), generator, code.device)
    penalty = built(posterior, code, noise, torch.tensor(3))
    assert tuple(penalty.terms) == built.term_names
    assert all(term.shape == () and term.isfinite() for term in penalty.terms.values())
    total = penalty.total + 0.0 * parameters.sum()
    (gradient,) = torch.autograd.grad(total, parameters)
    assert gradient.isfinite().all()
    # The KL of a point is the same for all images.
    assert (gradient.abs().sum() > 0) != (objective == "elbo" and family.is_deterministic)


@every_pair
def test_training_lowers_the_loss(
    tmp_path: Path, tiny_config: RunConfig, objective: str, latents: str
) -> None:
    settings: dict[str, Any] = {"objective": objective, "latents": latents}
    settings |= {"steps": 60, "log_every": 20}
    if latents == "fsq":  # the first scalars are near 0, and all round to a value that is there
        settings["num_categories"] = 8
    run = new_run(tmp_path / "run", tiny_config, **settings)
    assert train(run).state is State.FINISHED
    losses = [row["loss"] for row in run.metrics.read()]
    assert losses[-1] < 0.8 * losses[0]
    assert all(
        name in row for row in run.metrics.read() for name in run.load_objective().term_names
    )


@pytest.mark.slow
@every_pair
def test_its_price_is_one_graph_for_all_steps(objective: str, latents: str) -> None:
    if objective == "factor":
        pytest.skip("a config refuses to compile it")
    config = small(objective, latents)
    built, family = build_objective(config), build_latents(config)
    generator = torch.Generator().manual_seed(0)
    parameters = torch.randn(6, family.head_size, generator=generator, requires_grad=True)
    latent_noise = family.noise(6, generator)
    noise = built.noise((6, 3), generator, parameters.device)

    def price(step: torch.Tensor) -> torch.Tensor:
        posterior = family.posterior(parameters)
        total = built(posterior, posterior.sample(noise=latent_noise), noise, step).total
        return total + 0.0 * parameters.sum()  # the KL of a point has no gradient

    # aot_eager traces both passes, and leaves out only what turns the graph into machine code.
    torch._dynamo.reset()
    compiled = torch.compile(price, fullgraph=True, backend="aot_eager")
    with torch._dynamo.config.patch(error_on_recompile=True):
        for step in (torch.tensor(3), torch.tensor(60_000)):
            (gradient,) = torch.autograd.grad(compiled(step), parameters)
            (expected,) = torch.autograd.grad(price(step), parameters)
            torch.testing.assert_close(gradient, expected)


WEIGHTED: dict[str, Callable[[dict[str, float]], float]] = {
    "beta": lambda row: 2.0 * row["kl"],
    "annealed": lambda row: 5.0 * row["capacity_distance"],
    "factor": lambda row: row["kl"] + 3.0 * row["total_correlation"],
    "tc": lambda row: row["kl"] + row["total_correlation"],
    "dip_i": lambda row: row["kl"] + row["dip"],
    "dip_ii": lambda row: row["kl"] + row["dip"],
}


@pytest.mark.parametrize(("objective", "latents"), [p for p in PAIRS if p[0] in WEIGHTED])
def test_the_logged_loss_follows_from_its_terms(
    tmp_path: Path, tiny_config: RunConfig, objective: str, latents: str
) -> None:
    run = new_run(tmp_path / "run", tiny_config, objective=objective, latents=latents)
    train(run)
    for row in run.metrics.read():
        expected = row["reconstruction"] + WEIGHTED[objective](row)
        expected += row.get("codebook", 0.0) + row.get("commitment", 0.0)
        assert row["loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("objective", "words"),
    [
        ("elbo", "objective elbo ·"),
        ("beta", "objective beta (beta 2) ·"),
        ("annealed", "objective annealed (capacity max 2) ·"),
        ("dip_ii", "objective dip_ii (dip weight 2) ·"),
    ],
)
def test_a_runs_origin_names_the_objective_and_what_studies_vary(
    tmp_path: Path, tiny_config: RunConfig, objective: str, words: str
) -> None:
    run = new_run(tmp_path / "run", tiny_config, objective=objective)
    assert words in run.record.origin


def test_an_extended_run_keeps_its_capacity(tmp_path: Path, tiny_config: RunConfig) -> None:
    run = new_run(tmp_path / "run", tiny_config, objective="annealed", capacity_steps=100_000)
    train(run)
    extend_run(run, 8)
    train(Run(run.path))
    # It had risen to its end in the 12 steps that the run was to have.
    assert [row["capacity"] for row in run.metrics.read()][3:] == [2.0, 2.0]
