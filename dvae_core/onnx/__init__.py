"""Checking, running and writing models in the ONNX format.

`check.py` tests a file in a child process: `graph.py` checks its graph without running it, then
`trial.py` runs it on a trial batch and finds out how to read its tensors. `outputs.py` knows the
names of outputs; `reading.py` converts between the tensors and those of a VAE. Only then does
`session.py` open the file in this process, for the networks of a VAE (`network.py`). `export.py`
writes ONNX files.
"""

import os

# onnxruntime would report its use, with an id of this machine, to its maker. It reads the variable
# at its import; the processes that check models inherit it.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
