"""Memory: how much a process uses, and keeping what it freed for the next step."""

import ctypes
import sys

import psutil
import torch

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # from glibc's malloc.h


def keep_freed_memory() -> None:
    """Tell glibc to keep large freed blocks in this process instead of giving them back.

    A training step or a decode on a processor allocates the same large blocks each time; giving
    them back means that the kernel must clear and map them in anew. For processes that do little
    else. Does nothing where the C library is another one.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def memory_in_use(device: torch.device) -> int:
    """Bytes that this process holds: of the accelerator where the device is one, else of main
    memory (its resident set)."""
    if device.type == "cuda":
        return torch.cuda.memory_reserved(device)
    if device.type == "mps":
        return torch.mps.driver_allocated_memory()
    return psutil.Process().memory_info().rss
