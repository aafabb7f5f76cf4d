"""ONNX files as the networks of an ordinary VAE."""

from typing import Literal

import torch
from torch import Tensor, nn

from dvae_core.errors import ModelError
from dvae_core.onnx.check import CheckedFile
from dvae_core.onnx.layout import encoder_input, image_logits, latent_parameters
from dvae_core.onnx.session import Floats, Session

Part = Literal["encoder", "decoder"]


class _OnnxNetwork(nn.Module):
    """Its one buffer is the SHA-256 of the file, so that two networks can be told apart."""

    def __init__(self, part: Part, file: CheckedFile) -> None:
        super().__init__()
        self.register_buffer("sha256", torch.tensor(list(bytes.fromhex(file.sha256))))
        self._part = part
        self._session = Session(file.content, file.one_at_a_time)

    def _run(self, batch: Floats) -> list[Floats]:
        try:
            return self._session.run(batch)
        except ModelError as error:
            raise ModelError(f"the imported {self._part} gave up: {error}") from None


class OnnxEncoder(_OnnxNetwork):
    """Images (B, C, H, W) in [0, 1] to the parameters of the latents (B, head_size)."""

    def __init__(self, file: CheckedFile, takes: str, interleaved: bool) -> None:
        super().__init__("encoder", file)
        self._takes = takes
        self._interleaved = interleaved

    def forward(self, images: Tensor) -> Tensor:
        outputs = self._run(encoder_input(_as_array(images), self._takes))
        parameters = latent_parameters(outputs, self._interleaved)
        return torch.from_numpy(parameters).to(images.device)


class OnnxDecoder(_OnnxNetwork):
    """Codes (B, N) to image logits (B, C, H, W)."""

    def __init__(self, file: CheckedFile, gives: str) -> None:
        super().__init__("decoder", file)
        self._gives = gives

    def forward(self, codes: Tensor) -> Tensor:
        (output,) = self._run(_as_array(codes))
        return torch.from_numpy(image_logits(output, self._gives)).to(codes.device)


def _as_array(batch: Tensor) -> Floats:
    return batch.detach().cpu().contiguous().numpy()
