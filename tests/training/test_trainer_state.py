import pytest
import torch

from dvae_core.config import FAMILIES, OBJECTIVES, RunConfig
from dvae_core.data import load_dataset
from dvae_core.runs.trainer_state import GENERATORS, expected_state
from dvae_core.training.trainer import Training
from tests.selection.planted import changed


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_expected_state_is_the_one_that_a_training_saves(
    tiny_config: RunConfig, objective: str
) -> None:
    capacity = {"capacity_max": 1.0} if objective == "annealed" else {}
    check_state(changed(tiny_config, objective=objective, **capacity))


@pytest.mark.parametrize("latents", FAMILIES)
def test_and_of_each_family_with_all_its_regularizers(tiny_config: RunConfig, latents: str) -> None:
    penalties = {"multiinformation_weight": 1.0, "hessian_weight": 1.0}
    check_state(changed(tiny_config, latents=latents, **penalties))


def check_state(config: RunConfig) -> None:
    training = Training(config, load_dataset("circles", 32), torch.device("cpu"))
    training.advance()

    def described(state: dict[str, torch.Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
        return {name: (tensor.shape, tensor.dtype) for name, tensor in state.items()}

    saved = described(training.state())
    free = {name: saved.pop(name) for name in GENERATORS}
    assert described(expected_state(config, (1, 32, 32))) == saved
    assert {kind for _, kind in free.values()} == {torch.uint8}
