"""Memory: how much this process uses, and reuse of what it freed."""

import ctypes
import sys

import psutil
import torch

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # from glibc's malloc.h


def keep_freed_memory() -> None:
    """Tell glibc to keep large freed blocks in this process instead of returning them.

    A training step or a decode on the CPU allocates the same large blocks each time; the kernel
    would have to clear and map returned ones again. For processes that do little else. Does
    nothing with another C library.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def memory_in_use(device: torch.device) -> int:
    """Bytes that this process holds on an accelerator, or for the CPU its resident set."""
    if device.type == "cuda":
        return torch.cuda.memory_reserved(device)
    if device.type == "mps":
        return torch.mps.driver_allocated_memory()
    return psutil.Process().memory_info().rss
