"""Keeping freed memory for the next step."""

import ctypes
import sys

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
