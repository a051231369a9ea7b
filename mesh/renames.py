"""Renames that the standard library has not: in one step, exchanging two names, or never replacing one."""

from __future__ import annotations

import errno
import os
import sys
from functools import cache
from typing import Any

NO_REPLACE = {"linux": 1, "darwin": 4}  # RENAME_NOREPLACE, RENAME_EXCL
_EXCHANGE = {"linux": 2, "darwin": 2}  # RENAME_EXCHANGE, RENAME_SWAP


def exchange_names(dir_fd: int | None, first: str, second: str) -> bool:
    """Swap two names of one folder in one step. False where the system or the file system cannot."""
    return renamed(dir_fd, first, dir_fd, second, _EXCHANGE)


def renamed(source_fd: int | None, source: str, target_fd: int | None, target: str, flag: dict[str, int]) -> bool:
    """Rename in one step, exchanging or never replacing. False where the system or the file system cannot."""
    if source_fd is None or target_fd is None or sys.platform not in flag:
        return False
    import ctypes

    call = _rename_with_flags()
    if call is None:
        return False
    flags = ctypes.c_uint(flag[sys.platform])
    if call(source_fd, os.fsencode(source), target_fd, os.fsencode(target), flags) == 0:
        return True
    number = ctypes.get_errno()
    if number in {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}:
        return False
    raise OSError(number, os.strerror(number), source, None, target)


@cache
def _rename_with_flags() -> Any:
    """The system's call, None where there is none. To look it up takes longer than to use it."""
    import ctypes

    return getattr(ctypes.CDLL(None, use_errno=True), "renameat2" if sys.platform == "linux" else "renameatx_np", None)
