"""The child process that opens ONNX files from strangers: answers one request, and ends."""

import hashlib
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dvae_core.errors import ModelError
from dvae_core.system.sandbox import failure_message, limit_computing, limit_memory


def main(seconds: str, memory_bytes: str) -> None:
    """Answer the request on standard input: a `Report` and the SHA-256 of what was read, or an
    error."""
    limit_computing(int(seconds))
    limit_memory(int(memory_bytes))
    request = json.loads(sys.stdin.read())
    try:
        answer = _answer(request)
    except ModelError as error:
        answer = {"error": str(error)}
    except Exception as error:
        answer = {"error": failure_message(error, int(memory_bytes))}
    print(json.dumps(answer))


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    from dvae_core.onnx.trial import TrialRequest, try_model

    files = {part: Path(path).read_bytes() for part, path in request["files"].items()}
    report = try_model(files.get("encoder"), files["decoder"], TrialRequest(**request["asked"]))
    hashes = {part: hashlib.sha256(content).hexdigest() for part, content in files.items()}
    return {"report": asdict(report), "sha256": hashes}
