from itertools import product
from typing import Any, Literal, get_args

import pytest

from dvae_core.config import (
    FAMILIES,
    OBJECTIVES,
    PRESETS,
    FamilyName,
    ModelConfig,
    ObjectiveConfig,
    ObjectiveName,
    RunConfig,
    check_preset_has_data,
    describe_category_counts,
    settings_of,
    why_not,
)
from dvae_core.errors import ConfigError


def test_defaults_are_the_papers() -> None:
    config = RunConfig.from_preset("paper")
    assert (config.num_latents, config.num_categories, config.image_size) == (10, 64, 64)
    assert (config.steps, config.batch_size, config.learning_rate) == (300_000, 64, 1e-4)
    assert (config.noise_scale_start, config.noise_scale_end) == (0.5, 2.0)
    assert config == RunConfig()


@pytest.mark.parametrize("preset", PRESETS)
def test_a_setting_wins_over_its_preset(preset: str) -> None:
    assert RunConfig.from_preset(preset, num_latents=7).num_latents == 7


@pytest.mark.parametrize("preset", [name for name in PRESETS if name != "quick"])
def test_a_preset_of_a_paper_leaves_the_data_set_open(preset: str) -> None:
    with pytest.raises(ConfigError, match=f"the preset {preset} leaves the data set open"):
        check_preset_has_data(preset, ["steps"])
    check_preset_has_data(preset, ["dataset"])


def test_the_authors_weights_are_those_beside_a_sum_over_a_colour_image() -> None:
    # 0.001 and 1e-4 and 1e-2 beside a mean over 3 * 64 * 64 numbers.
    qlae, tripod = RunConfig.from_preset("qlae"), RunConfig.from_preset("tripod")
    assert (qlae.codebook_weight, qlae.commitment_weight) == pytest.approx((12.288, 12.288))
    assert qlae.weight_decay == 0.1  # decoupled from the loss and its scale
    weights = (tripod.multiinformation_weight, tripod.hessian_weight)
    assert weights == pytest.approx((1.2288, 122.88))
    # 1e-4 of total correlation beside 1e-3 of a mean over 12 latents.
    assert RunConfig.from_preset("factorqvae").gamma == pytest.approx(1.2)


def test_an_unknown_preset_is_named_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="'fast': use quick, paper, qlae, tripod or factorqvae"):
        RunConfig.from_preset("fast")


def test_an_unknown_setting_is_named() -> None:
    with pytest.raises(ConfigError, match=r"unknown setting num_latent$"):
        RunConfig(num_latent=3)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_latents", 0),
        ("num_categories", 1),
        ("cardinalities.0", (1, 4)),
        ("cardinalities.1", (4, 513)),
        ("steps", -1),
        ("image_size", 48),
        ("learning_rate", float("nan")),
        ("latents", "discrete"),
        ("seed", -1),
    ],
)
def test_a_value_out_of_range_is_named_in_one_line(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"^{name} is [^\n]*$"):
        RunConfig(**{name.partition(".")[0]: value})


def test_each_part_refuses_in_the_same_words() -> None:
    with pytest.raises(ConfigError, match="num_categories is 1: give a number of at least 2"):
        ModelConfig(num_categories=1)


def test_cardinalities_are_of_the_first_latents() -> None:
    config = RunConfig(num_latents=5, num_categories=40, cardinalities=(3, 6, 40))
    assert config.category_counts == (3, 6, 40, 40, 40)
    assert RunConfig.model_validate_json(config.model_dump_json()) == config
    assert ModelConfig(latents="gaussian").category_counts == ()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_latents": 2, "cardinalities": (3, 4, 5)}, "has 3 numbers, but num_latents is 2"),
        ({"num_categories": 16, "cardinalities": (3, 40)}, "40 for latent 1, but num_categories"),
        ({"latents": "gaussian", "cardinalities": (3,)}, "gaussian latents have no categories"),
    ],
)
def test_cardinalities_that_fit_no_latent_are_refused_in_one_line(
    settings: dict[str, object], message: str
) -> None:
    for part in (ModelConfig, RunConfig):
        with pytest.raises(ConfigError, match=f"^[^\n]*{message}[^\n]*$"):
            part(**settings)


def test_category_counts_are_told_by_their_runs() -> None:
    assert describe_category_counts((64,) * 10) == "K = 64"
    assert describe_category_counts((3, 40, 32, 32, 64, 64)) == "K = 3, 40, 2 × 32, 2 × 64"


def test_several_mistakes_are_counted() -> None:
    with pytest.raises(ConfigError, match=r"\(and 1 more\)$"):
        RunConfig(steps=0, batch_size=0)


@pytest.mark.parametrize("objective", ["factor", "tc"])
def test_the_total_correlation_needs_two_latents(objective: Literal["factor", "tc"]) -> None:
    with pytest.raises(ConfigError, match=f"^the {objective} objective needs .* at least 2"):
        RunConfig(objective=objective, num_latents=1)


def test_total_correlation_is_not_rewarded() -> None:
    assert RunConfig(objective="tc", beta=1.0).beta == 1.0
    assert RunConfig(objective="beta", beta=0.5).beta == 0.5
    with pytest.raises(ConfigError, match=r"beta is 0.5, but the tc objective .* use 1 or more$"):
        RunConfig(objective="tc", beta=0.5)


def test_a_capacity_is_within_what_categories_hold() -> None:
    settings: dict[str, Any] = {"objective": "annealed", "num_latents": 2, "num_categories": 16}
    assert RunConfig(**settings, capacity_max=5.5).capacity_max == 5.5
    with pytest.raises(ConfigError, match=r"capacity_max is 25 nats, .* at most 5\.55: lower it"):
        RunConfig(**settings)
    with pytest.raises(ConfigError, match=r"at most 3\.47"):  # ln 2 + ln 16
        RunConfig(**settings, cardinalities=(2,), capacity_max=5.0)
    assert RunConfig(**settings | {"objective": "beta"}).capacity_max == 25.0
    assert RunConfig(**settings | {"latents": "gaussian"}).capacity_max == 25.0


def test_the_quick_preset_goes_with_every_objective() -> None:
    for objective, latents in product(OBJECTIVES, FAMILIES):
        if not why_not(objective, FAMILIES[latents]):
            RunConfig.from_preset("quick", objective=objective, latents=latents)


def test_the_tables_have_the_names_that_a_config_takes() -> None:
    assert tuple(OBJECTIVES) == get_args(ObjectiveName)
    assert tuple(FAMILIES) == get_args(FamilyName)


def test_every_objective_says_which_settings_are_its_own() -> None:
    own = {name for info in OBJECTIVES.values() for name in info.settings}
    assert own == set(ObjectiveConfig.model_fields) - {"objective"}
    of_families = {name for info in FAMILIES.values() for name in info.settings}
    assert of_families <= set(RunConfig.model_fields)


def test_the_default_is_the_third_value_that_was_studied() -> None:
    for info in OBJECTIVES.values():
        assert not info.studied or getattr(RunConfig(), info.settings[0]) == info.studied[2]


def test_every_setting_is_explained_in_sentences() -> None:
    for setting, field in RunConfig.model_fields.items():
        description = field.description or ""
        assert description[:1].isupper(), setting
        assert description.endswith("."), setting


def test_settings_that_a_run_ignores_are_left_out() -> None:
    heeded = settings_of("tc", "categorical")
    assert {"beta", "num_categories", "sampling", "noise_steps", "dataset", "seed"} <= set(heeded)
    assert not {"gamma", "capacity_max", "dip_weight", "discriminator_learning_rate"} & set(heeded)
    heeded = settings_of("factor", "gaussian")
    assert {"gamma", "discriminator_learning_rate", "num_latents"} <= set(heeded)
    assert not {"num_categories", "cardinalities", "sampling", "noise_scale_end"} & set(heeded)
    assert [name for name in RunConfig.model_fields if name in heeded] == list(heeded)


def test_a_compiled_step_needs_cuda() -> None:
    with pytest.raises(ConfigError, match="compiled needs device cuda, not cpu"):
        RunConfig(compiled=True, device="cpu")


def test_a_compiled_step_does_not_go_with_the_factor_objective() -> None:
    with pytest.raises(ConfigError, match="not supported with the factor objective"):
        RunConfig(compiled=True, objective="factor")


def test_a_config_survives_json() -> None:
    config = RunConfig(objective="factor", gamma=3.5, threads=3)
    assert RunConfig.model_validate_json(config.model_dump_json()) == config


def test_the_preset_of_the_paper_trains_on_no_data_set_by_chance() -> None:
    check_preset_has_data("quick", ())
    check_preset_has_data("paper", ("dataset", "steps"))
    with pytest.raises(ConfigError, match="set dataset"):
        check_preset_has_data("paper", ("steps",))


def test_the_noise_scale_falls_back_to_all_steps() -> None:
    config = RunConfig(steps=100, noise_scale_start=1.0, noise_scale_end=3.0)
    assert [config.noise_scale_at(step) for step in (0, 50, 100)] == pytest.approx([1.0, 2.0, 3.0])
