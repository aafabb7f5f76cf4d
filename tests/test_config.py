import pytest

from dvae_core.config import PRESETS, ModelConfig, RunConfig
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


def test_an_unknown_preset_is_named_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="'fast': there are quick, paper"):
        RunConfig.from_preset("fast")


def test_an_unknown_setting_is_named() -> None:
    with pytest.raises(ConfigError, match=r"unknown setting num_latent$"):
        RunConfig(num_latent=3)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_latents", 0),
        ("num_categories", 1),
        ("steps", -1),
        ("image_size", 48),
        ("learning_rate", float("nan")),
        ("latents", "discrete"),
        ("seed", -1),
    ],
)
def test_a_value_out_of_range_is_named_in_one_line(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"^{name} is [^\n]*$"):
        RunConfig(**{name: value})


def test_each_part_refuses_in_the_same_words() -> None:
    with pytest.raises(ConfigError, match="num_categories is 1, but input should be"):
        ModelConfig(num_categories=1)


def test_several_mistakes_are_counted() -> None:
    with pytest.raises(ConfigError, match=r"\(and 1 more\)$"):
        RunConfig(steps=0, batch_size=0)


def test_the_factor_objective_needs_two_latents() -> None:
    with pytest.raises(ConfigError, match="at least 2"):
        RunConfig(objective="factor", num_latents=1)


def test_a_compiled_step_needs_cuda() -> None:
    with pytest.raises(ConfigError, match="compiled needs device cuda, not cpu"):
        RunConfig(compiled=True, device="cpu")


def test_a_compiled_step_does_not_go_with_the_factor_objective() -> None:
    with pytest.raises(ConfigError, match="does not go with the factor objective"):
        RunConfig(compiled=True, objective="factor")


def test_a_config_survives_json() -> None:
    config = RunConfig(objective="factor", gamma=3.5, threads=3)
    assert RunConfig.model_validate_json(config.model_dump_json()) == config
