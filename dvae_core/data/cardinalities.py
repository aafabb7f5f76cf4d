"""How many values each factor of a data set has, as the latents of a model can be told it."""

from typing import Protocol

from dvae_core.errors import ConfigError


class HasFactors(Protocol):
    """A `Dataset`, or a `DatasetInfo`, for which no image has to be loaded."""

    @property
    def name(self) -> str: ...

    @property
    def factor_sizes(self) -> tuple[int, ...]: ...


def known_cardinalities(dataset: HasFactors) -> tuple[int, ...]:
    """Sizes of the factors in their order, for `ModelConfig.cardinalities`. A factor with a single
    value does not vary, and no latent is kept for it.

    Raises:
        ConfigError: no factor varies.
    """
    sizes = tuple(size for size in dataset.factor_sizes if size > 1)
    if not sizes:
        raise ConfigError(
            f"{dataset.name} has no factors to take cardinalities from: give numbers, or leave "
            f"them out"
        )
    return sizes
