"""Running a checked ONNX file."""

import re
from collections.abc import Mapping, Sequence
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
FixedInputs = Mapping[str, Sequence[float]]
"""Numbers of each input that is neither images nor codes, such as a label, by its name."""

_TYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
}


class Session:
    """A network that onnxruntime runs.

    Args:
        content: content of a file that `read_graph` has checked.
        one_at_a_time: whether its batch size is fixed at 1.
        fixed: numbers of all inputs but one.

    Raises:
        ModelError: onnxruntime cannot load the file, or the numbers do not fit an input.
    """

    def __init__(
        self, content: bytes, one_at_a_time: bool = False, fixed: FixedInputs | None = None
    ) -> None:
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
        fixed = fixed or {}
        inputs = self._session.get_inputs()
        (batch_input,) = (port for port in inputs if port.name not in fixed)
        self._input = batch_input.name
        # Each with whether it has a row for each image or code of a batch.
        self._fixed = {
            port.name: _fixed_input(port, fixed[port.name], batch_input.shape[:1])
            for port in inputs
            if port.name in fixed
        }
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
            others = {
                name: value.repeat(len(batch), axis=0) if per_row else value
                for name, (value, per_row) in self._fixed.items()
            }
            outputs: list[Any] = self._session.run(None, {self._input: batch, **others})
        except Exception as error:
            raise ModelError(f"it fails on a batch of {len(batch)} ({_reason(error)})") from None
        for output in outputs:
            if not np.isfinite(output).all():
                raise ModelError("it returns numbers that are not finite")
        return outputs


def _fixed_input(
    port: Any, numbers: Sequence[float], batch_axis: list[int | str]
) -> tuple[NDArray[Any], bool]:
    """The value of an input, and whether to repeat it for each row of a batch."""
    name = port.name[:40]
    if port.type not in _TYPES:
        raise ModelError(
            f"its input {name!r} has type {port.type}, which cannot be fixed: export it with "
            f"numbers or truth values"
        )
    shape: list[int | str] = port.shape
    # A free first axis is that of the batch, and so is one that is fixed at the same size.
    per_row = bool(shape) and (not isinstance(shape[0], int) or shape[:1] == batch_axis)
    axes = [axis if isinstance(axis, int) else -1 for axis in (shape[1:] if per_row else shape)]
    value: NDArray[Any] = np.asarray(numbers, _TYPES[port.type])
    if value.dtype.kind in "ib" and not np.array_equal(value, numbers):
        raise ModelError(
            f"its input {name!r} has type {port.type}, which does not hold {numbers[0]:g}: fix it "
            f"to another value"
        )
    try:
        value = value.reshape(axes)
    except ValueError:
        count = abs(int(np.prod(axes)))
        raise ModelError(
            f"its input {name!r} has {count} numbers, but is fixed to {len(numbers)}: give "
            f"{count}, separated by commas, such as 0,0,1 for a one-hot label"
        ) from None
    return (value[np.newaxis] if per_row else value), per_row


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
