import subprocess
import sys

import torch

from dvae_core.training.adam import EagerAdam

PROGRAM = """
import sys, torch
from dvae_core.config import RunConfig
from dvae_core.data import load_dataset
from dvae_core.training.trainer import Training
config = RunConfig(dataset="circles", image_size=32, objective="factor", steps=2, batch_size=2)
training = Training(config, load_dataset("circles", 32), torch.device("cpu"))
training.advance()
assert "torch._dynamo" not in sys.modules
"""


def test_it_is_adam_to_the_bit() -> None:
    weights = []
    for kind in (EagerAdam, torch.optim.Adam):
        layer = torch.nn.Linear(4, 3)
        torch.nn.init.constant_(layer.weight, 0.1)
        torch.nn.init.zeros_(layer.bias)
        optimizer = kind(layer.parameters(), lr=1e-2, betas=(0.5, 0.9), fused=True)
        for step in range(5):
            if step == 3:
                optimizer.load_state_dict(optimizer.state_dict())
            optimizer.zero_grad()
            layer(torch.full((2, 4), float(step))).square().sum().backward()
            optimizer.step()
        weights.append(layer.weight)
    assert torch.equal(*weights)


def test_a_training_starts_without_the_compiler() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], check=True)
