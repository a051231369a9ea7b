"""Keep OpenBLAS to one thread while the model runs.

Its threads spin while they wait for each other. On two cores that others use too, 208 texts took 14.3 s with its
default and 4.1 s with one thread; 80 texts from four threads of a server 32 s and 1.5 s.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import TypeAlias

Get: TypeAlias = Callable[[], int]
Set: TypeAlias = Callable[[int], None]

_NAMES = (("scipy_openblas_", "64_"), ("scipy_openblas_", ""), ("openblas_", "64_"), ("openblas_", ""))

_lock = threading.Lock()
_running = 0
_threads_before = 1


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """The setting is the process's: the first to enter makes it, the last to leave restores it."""
    global _running, _threads_before
    controls = _controls()
    if controls is None:  # another BLAS, whose threads do not spin like this
        yield
        return
    get, set_ = controls
    with _lock:
        _running += 1
        if _running == 1:
            _threads_before = get()
            set_(1)
    try:
        yield
    finally:
        with _lock:
            _running -= 1
            if _running == 0:
                set_(_threads_before)


@cache
def _controls() -> tuple[Get, Set] | None:
    """Reader and setter of the number of threads, from the OpenBLAS that numpy has loaded; `None` for another."""
    extension = import_module("numpy._core._multiarray_umath")
    try:
        library = ctypes.CDLL(extension.__file__)  # names are looked up in what it links to as well
    except OSError:
        return None
    for start, end in _NAMES:
        get = getattr(library, f"{start}get_num_threads{end}", None)
        set_ = getattr(library, f"{start}set_num_threads{end}", None)
        if get is not None and set_ is not None:
            return get, set_
    return None
