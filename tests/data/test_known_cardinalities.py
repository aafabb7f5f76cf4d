from dataclasses import dataclass

import pytest

from dvae_core.data import load_dataset
from dvae_core.data.cardinalities import known_cardinalities
from dvae_core.data.listing import dataset_info
from dvae_core.errors import ConfigError


@dataclass(frozen=True)
class Made:
    name: str
    factor_sizes: tuple[int, ...]


def test_a_set_and_what_is_known_of_it_unread_say_the_same() -> None:
    assert known_cardinalities(load_dataset("circles", 32)) == (32, 32)
    assert known_cardinalities(dataset_info("circles")) == (32, 32)
    assert known_cardinalities(dataset_info("dsprites")) == (3, 6, 40, 32, 32)


def test_a_factor_of_a_single_value_has_no_latent() -> None:
    assert known_cardinalities(Made("made", (4, 1, 7))) == (4, 7)


@pytest.mark.parametrize("sizes", [(), (1,)])
def test_a_set_whose_factors_do_not_vary_has_no_cardinalities(sizes: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="made has no factors to take cardinalities from"):
        known_cardinalities(Made("made", sizes))
