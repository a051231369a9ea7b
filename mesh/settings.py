"""What the environment says. The only module that reads it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DEFAULT_MODEL = "all-MiniLM-L6-v2"
DEFAULT_NAMESPACE = "shared"
DEFAULT_HTTP_PORT = 7701
DEFAULT_SYNC_EVERY = "5m"


@dataclass(frozen=True, slots=True)
class Settings:
    """One process's settings. An empty variable is unset: an empty `MESH_HOME` must never mean the current folder."""

    home: Path  # MESH_HOME, or MESH_DIR: the folder of all namespaces
    namespace: str = DEFAULT_NAMESPACE  # MESH_NAMESPACE
    agent: str = "agent"  # MESH_AGENT_ID: the author of what is learned
    model: str = ""  # MESH_MODEL: a name on the model hub, or a folder; empty: see `embedding.choice`
    model_dimension: str = ""  # MESH_MODEL_DIMENSION, as it was written: how many numbers of a vector are kept
    device: str = ""  # MESH_DEVICE: where sentence-transformers runs models, such as "cuda"; empty: it decides
    model_path: Path | None = None  # MESH_MODEL_PATH: the folder of the default model's files
    hub_cache: Path = Path()  # where the model hub's client keeps what it has downloaded
    rerank: str = ""  # MESH_RERANK: a cross-encoder's name on the model hub, or its folder; empty: none
    sync_every: str = ""  # MESH_SYNC_EVERY, as it was written: how often processes that watch sync what is shared
    offline: bool = False  # MESH_OFFLINE: never use the network
    editor: str = "vi"  # VISUAL, EDITOR
    color: bool = True  # off with NO_COLOR
    http_port: str = str(DEFAULT_HTTP_PORT)  # MESH_HTTP_PORT, as it was written: who uses it checks it
    http_token: str = ""  # MESH_HTTP_TOKEN: what a client of `mesh-http` must present
    mcp_local_only: bool = False  # MESH_MCP_LOCAL_ONLY: whether `mesh-server` may read and write local_only memories

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Settings:
        env = {name: value for name, value in (os.environ if environ is None else environ).items() if value.strip()}
        user = Path(env.get("HOME") or env.get("USERPROFILE") or Path.home())
        home = env.get("MESH_HOME") or env.get("MESH_DIR")
        model_path = env.get("MESH_MODEL_PATH")
        return cls(
            home=Path(home).expanduser().absolute() if home else user / ".mesh",
            namespace=env.get("MESH_NAMESPACE", DEFAULT_NAMESPACE),
            agent=env.get("MESH_AGENT_ID", "agent"),
            model=env.get("MESH_MODEL", "").strip(),
            model_dimension=env.get("MESH_MODEL_DIMENSION", "").strip(),
            device=env.get("MESH_DEVICE", "").strip(),
            model_path=Path(model_path).expanduser().absolute() if model_path else None,
            hub_cache=_hub_cache(env, user),
            rerank=env.get("MESH_RERANK", "").strip(),
            sync_every=env.get("MESH_SYNC_EVERY", "").strip(),
            offline=_is_on(env, "MESH_OFFLINE"),
            color="NO_COLOR" not in env,
            editor=env.get("VISUAL") or env.get("EDITOR") or ("notepad" if os.name == "nt" else "vi"),
            http_port=env.get("MESH_HTTP_PORT", str(DEFAULT_HTTP_PORT)).strip(),
            http_token=env.get("MESH_HTTP_TOKEN", "").strip(),
            mcp_local_only=_is_on(env, "MESH_MCP_LOCAL_ONLY"),
        )


def _is_on(env: Mapping[str, str], name: str) -> bool:
    return env.get(name, "0").strip().lower() not in {"0", "false", "no", "off"}


def _hub_cache(env: Mapping[str, str], user: Path) -> Path:
    if "HF_HUB_CACHE" in env:
        return Path(env["HF_HUB_CACHE"])
    if "HF_HOME" in env:
        return Path(env["HF_HOME"]) / "hub"
    return Path(env.get("XDG_CACHE_HOME") or user / ".cache") / "huggingface" / "hub"


_OF_GIT = (
    "GIT_SSH",
    "GIT_SSL_",
    "GIT_HTTP_",
    "GIT_PROXY_",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
)


def git_environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment that git is run in: the user's, so that their keys, proxies and helpers for passwords work.

    Without the variables that would lead git to another repository, index or configuration, or make it run programs.
    """
    env = os.environ if environ is None else environ
    return {name: value for name, value in env.items() if not name.startswith("GIT_") or name.startswith(_OF_GIT)}


def named_by_git(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """What git tells the hooks that it runs: the repository and the index, where they are not the usual ones."""
    env = os.environ if environ is None else environ
    return {name: env[name] for name in ("GIT_DIR", "GIT_INDEX_FILE") if env.get(name)}
