"""Exporting a VAE as ONNX files with standard operators and a free batch size."""

import torch
from torch import Tensor, nn

from dvae_core.models.latents import GaussianLatents
from dvae_core.models.vae import VAE
from dvae_core.system.files import temporary_folder

OPSET = 18  # supported by most runtimes, and the default of the exporter


class _Encoder(nn.Module):
    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        assert self.model.encoder is not None
        parameters, latents = self.model.encoder(images), self.model.latents
        if isinstance(latents, GaussianLatents):
            posterior = latents.posterior(parameters)
            return posterior.mean, posterior.log_variance  # (B, N) each
        return latents.logits(parameters)  # (B, N, K), whatever they are computed from


class _Decoder(nn.Module):
    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, codes: Tensor) -> Tensor:
        return self.model.decode(codes)


def export_networks(model: VAE) -> dict[str, bytes]:
    """Export `encoder.onnx` and `decoder.onnx`; returns their contents by name.

    The encoder outputs logits (B, N, K), or means and log variances (B, N); the decoder outputs
    image logits. The model is in eval mode, on the CPU, and has networks of torch layers.

    torch's exporter warns of torchvision, which it does not need, and of its own deprecations.
    """
    categorical = model.latents.num_categories is not None
    parameters = ["logits"] if categorical else ["mean", "log_variance"]
    images = torch.zeros(2, *model.image_shape)
    codes = torch.zeros(2, model.latents.num_latents)
    return {
        "encoder.onnx": _exported(_Encoder(model), images, "images", parameters),
        "decoder.onnx": _exported(_Decoder(model), codes, "codes", ["image_logits"]),
    }


def _exported(network: nn.Module, example: Tensor, input_name: str, outputs: list[str]) -> bytes:
    with temporary_folder() as folder:
        path = folder / "network.onnx"
        torch.onnx.export(
            network.eval(),
            (example,),
            path,
            input_names=[input_name],
            output_names=outputs,
            opset_version=OPSET,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        return path.read_bytes()
