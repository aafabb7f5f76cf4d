"""Memory use of this process, and reuse of freed memory."""

import ctypes
import sys

import psutil
import torch

_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8  # from glibc's malloc.h


def keep_freed_memory() -> None:
    """Let glibc keep large freed blocks in this process instead of returning them to the kernel.

    Each training step or decoding on the CPU allocates the same large blocks, which the kernel
    would clear and map again. All threads share two pools: by default each thread of a server may
    have a pool of its own, and what one has freed is of no use to the others. Has no effect with
    other C libraries.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(_M_ARENA_MAX, 2)


def memory_in_use(device: torch.device) -> int:
    """Bytes that this process uses on an accelerator; for the CPU its resident set."""
    if device.type == "cuda":
        return torch.cuda.memory_reserved(device)
    if device.type == "mps":
        return torch.mps.driver_allocated_memory()
    return psutil.Process().memory_info().rss
