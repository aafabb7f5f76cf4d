"""Running a checked ONNX file."""

import re
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from dvae_core.errors import ModelError

# Batches have this size or 1. The trial has run both sizes, and a checked graph does the same work
# for every batch of a size, so the limits of the trial hold for all later batches.
BATCH = 32
_THREADS = 2

Floats = NDArray[np.float32]


class Session:
    """A network that onnxruntime runs.

    Args:
        content: content of a file that `read_graph` has checked.
        one_at_a_time: whether its batch size is fixed at 1.

    Raises:
        ModelError: onnxruntime cannot load the file.
    """

    def __init__(self, content: bytes, one_at_a_time: bool = False) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = _THREADS
        options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False  # returns memory between two calls
        options.log_severity_level = 4
        options.add_session_config_entry("session.load_model_format", "ONNX")
        # Otherwise its threads keep spinning for a while after each run.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime raises many kinds
            raise ModelError(f"onnxruntime cannot load it ({_reason(error)})") from None
        self._input = self._session.get_inputs()[0].name
        self._one_at_a_time = one_at_a_time

    def run(self, batch: Floats) -> list[Floats]:
        """All outputs for a batch (B, ..), run in parts of `BATCH` and the rest one by one.

        Raises:
            ModelError: the network fails, or an output is not finite.
        """
        whole = 0 if self._one_at_a_time else len(batch) // BATCH * BATCH
        parts = [batch[start : start + BATCH] for start in range(0, whole, BATCH)]
        parts += [batch[i : i + 1] for i in range(whole, len(batch))]
        answers = [self.run_once(part) for part in parts]
        return [np.concatenate(outputs) for outputs in zip(*answers, strict=True)]

    def run_once(self, batch: Floats) -> list[Floats]:
        """All outputs for a batch, run in one call; see `run`."""
        try:
            outputs: list[Any] = self._session.run(None, {self._input: batch})
        except Exception as error:
            raise ModelError(f"it fails on a batch of {len(batch)} ({_reason(error)})") from None
        for output in outputs:
            if not np.isfinite(output).all():
                raise ModelError("it returns numbers that are not finite")
        return outputs


# Where in the source of onnxruntime a check failed: a path with a line, and the function. The
# function ends at its closing bracket.
_PLACE = re.compile(r"\S+\.(?:cc|cpp|cu|h|hpp):\d+ (?:[^()]*\([^()]*\)(?: const)? )?")


def _reason(error: Exception) -> str:
    """The cause in an error of onnxruntime, without codes, paths and names of functions."""
    # "[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running Reshape node.
    # Name:'' Status Message: /a/path/reshape_helper.h:84 onnxruntime::f(int) what is wrong"
    text = " ".join(str(error).rpartition("[ONNXRuntimeError]")[2].split(" : ", 3)[-1].split())
    running, _, message = text.rpartition("Status Message: ")
    operator = re.search(r"while running (\w+) node", running)
    cause = _PLACE.sub("", message).strip().rstrip(".")
    if operator:
        cause = f"{operator[1]}: {cause}"
    return cause[:300] or type(error).__name__


# Pixels are kept this far from 0 and 1, where their logits would be infinite.
CLOSEST = 1e-6


def encoder_input(images: Floats, kind: str) -> Floats:
    """Images (B, C, H, W) in [0, 1], converted to the encoder input `image` or `signed`."""
    return 2.0 * images - 1.0 if kind == "signed" else images


def latent_parameters(outputs: list[Floats], interleaved: bool) -> Floats:
    """Parameters of the latents (B, head size), in the order of `Latents.posterior`.

    Args:
        outputs: means and log variances, (B, N) each; or both in one array, (B, 2 N); or logits,
            (B, N, K) or (B, N * K).
        interleaved: whether the single array interleaves means and log variances.
    """
    if len(outputs) == 2:
        return np.concatenate(outputs, axis=1)
    flat = outputs[0].reshape(len(outputs[0]), -1)
    if interleaved:
        pairs = flat.reshape(len(flat), -1, 2)  # (B, 2 N) -> (B, N, 2)
        return np.concatenate([pairs[..., 0], pairs[..., 1]], axis=1)
    return flat


def image_logits(output: Floats, kind: str) -> Floats:
    """Image logits (B, C, H, W) of a decoder output of kind `image`, `signed` or `logits`."""
    if kind == "logits":
        return output
    image: NDArray[np.float32] = (output + 1.0) / 2.0 if kind == "signed" else output
    clear = np.clip(image, CLOSEST, 1.0 - CLOSEST)
    return np.log(clear / (1.0 - clear))
