"""What all models have in common that the sentence-transformers library runs: an extra, because it brings torch."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from mesh.errors import ModelUnavailable

T = TypeVar("T")


def imported(place: str, why: str = "") -> Any:
    """The library, with nothing to say but errors. Raises `ModelUnavailable`, telling `why` it is needed."""
    try:
        import sentence_transformers
    except ImportError as error:
        raise ModelUnavailable(
            f"the library sentence-transformers is not installed ({error})" + (f"; {why}" if why else ""),
            place=place,
            remedy='Run: pip install "mesh-memory[sentence-transformers]"',
        ) from error
    for library in ("sentence_transformers", "transformers", "huggingface_hub"):
        logging.getLogger(library).setLevel(logging.ERROR)
    return sentence_transformers


def loaded(load: Callable[[], T], place: str, remedy: str) -> T:
    """What `load` gives, without progress bars for reading a file. Raises `ModelUnavailable`."""
    try:
        with _no_bars():
            return load()
    except Exception as error:  # whatever the hub, torch or a model's own code raise
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelUnavailable(f"sentence-transformers cannot load it ({said})", place=place, remedy=remedy) from error


@contextlib.contextmanager
def _no_bars() -> Iterator[None]:
    from transformers.utils import logging as bars

    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            bars.enable_progress_bar()  # type: ignore[no-untyped-call]


def first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def without_surrogates(text: str) -> str:
    """A lone surrogate is no character, and tokenizers refuse it."""
    return text.encode("utf-8", "replace").decode("utf-8")
