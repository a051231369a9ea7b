"""What can be asked of a whole home without opening a namespace first: the module-level functions of `mesh`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import inputs, links, namespaces
from .api import Mesh
from .errors import InvalidInput
from .settings import Settings

if TYPE_CHECKING:
    from .portability.importing import Progress

Row = dict[str, Any]


def build_context(
    query: str | None = None,
    namespace: str | None = None,
    count: int = 10,
    format: str = "markdown",
    min_confidence: float = 0.3,
    memory_type: str | None = None,
    tags: Sequence[str] | None = None,
    *,
    home: str | Path | None = None,
    include_local: bool = False,
) -> str:
    """Memories as a text for a prompt, marked as reference data: see `Mesh.context`."""
    with Mesh(namespace, home=home) as mesh:
        found = mesh.context(query, count, format, min_confidence, memory_type, tags, include_local=include_local)
    return str(found["context"])


def list_namespaces(*, home: str | Path | None = None) -> list[Row]:
    """Every namespace by name: `namespace`, `memory_count`, `local_only_count`, `last_updated`, `path`, `problem`.

    `last_updated` is None for an empty one. `problem` says what keeps one from being read; its counts are None then.
    """
    return namespaces.listed(_settings(home))


def namespace_stats(namespace: str, *, home: str | Path | None = None) -> Row:
    """What is in a namespace, counted, as far as its files can be understood.

    Gives `namespace, memory_count, local_only_count, exportable_count, type_breakdown, agents, tags` (the 20 most
    common), `avg_confidence, oldest_memory, newest_memory` (None if it is empty), `stale_count, problems, trash, path,
    git_head`. Raises `UnknownNamespace`.
    """
    return namespaces.stats(_settings(home), namespace)


def create_namespace(namespace: str, *, home: str | Path | None = None) -> str:
    """Make an empty namespace and give its name. To learn in one that does not exist makes it as well."""
    return namespaces.create(_settings(home), namespace)


def delete_namespace(namespace: str, *, home: str | Path | None = None) -> int:
    """Move a namespace to the trash, `local_only` memories and all; give how many memories went.

    `restore_namespace` brings it back for 30 days. What was forgotten in it stays in the trash by itself.
    """
    return namespaces.delete(_settings(home), namespace)


def share_namespace(
    namespace: str,
    url: str = "",
    *,
    accept: Sequence[str] = (),
    hooks: bool | None = None,
    home: str | Path | None = None,
) -> Row:
    """Make a namespace a git repository, connected to `url` if that is given, and sync it: see `Mesh.sync`.

    `hooks`: whether git's own commands there are held to the same rules, by hooks and a merge driver; None: as before.
    """
    from .sharing import syncing

    report = syncing.share(_settings(home), namespace, url, accept, hooks)
    if report.new:  # the remote had a history of its own
        with Mesh(report.namespace, home=home) as mesh:
            report.compare(mesh.workspace)
    return report.as_dict()


def clone_namespace(url: str, namespace: str = "", *, home: str | Path | None = None) -> Row:
    """A namespace from a repository that somebody shares; named as its address ends, unless `namespace` is given."""
    from .sharing import syncing

    return syncing.clone(_settings(home), url, namespace).as_dict()


def shared_namespaces(*, home: str | Path | None = None) -> list[str]:
    """The names of the namespaces that are git repositories."""
    from .sharing import syncing

    return syncing.shared_namespaces(_settings(home))


def link_namespace(folder: str | Path, namespace: str = "", *, home: str | Path | None = None) -> Row:
    """Make a folder outside of the home a namespace; named after the project it lies in, unless `namespace` is given.

    To link a namespace again whose folder is gone says where it is now. Gives `namespace, folder, project` (the top of
    the git repository around it, or None) and `problem`. Raises `InvalidInput` for a folder that cannot be one.
    """
    from . import linking

    return linking.link(_settings(home), folder, namespace)


def unlink_namespace(namespace: str, *, home: str | Path | None = None) -> Row:
    """Remove the link of a namespace, and no file; give `namespace` and `folder`. Raises `NotFound` if it has none."""
    from . import linking

    return linking.unlink(_settings(home), namespace)


def linked_namespaces(*, home: str | Path | None = None) -> list[Row]:
    """The namespaces that are linked, as `link_namespace` gives them; `problem` says why a folder cannot be used."""
    from . import linking

    return linking.linked(_settings(home))


def check_proposal(
    folder: str | Path | None = None,
    base: str = "origin/main",
    *,
    head: str = "",
    namespace: str | None = None,
    cache: str | Path | None = None,
    home: str | Path | None = None,
) -> Row:
    """What the files in a clone's folder, or the commit `head`, would bring into the commit `base`. Nothing is written.

    `folder`: None for the current one, or the folder of `namespace`. Gives `folder, base, head` (None for the files),
    paths in the repository as `new, changed, gone`, `problems` (`path, line, key, cause, remedy, serious`), and
    `contradicts, duplicates, compared_by, not_compared` as `Mesh.sync` does. `cache`: where to keep vectors.
    """
    from .sharing import checking

    settings = _settings(home)
    place = links.place(settings.home, inputs.namespace(namespace)) if namespace else Path(folder or ".").expanduser()
    kept = Path(cache).expanduser() if cache else None
    return checking.check(settings, place, base, head, kept).as_dict()


def restore_namespace(namespace: str, *, home: str | Path | None = None) -> int:
    """Bring back the namespace of this name that was deleted last; give how many memories it has.

    Raises `NotFound` if none was deleted, `InvalidInput` if there is another of that name now.
    """
    return namespaces.restore(_settings(home), namespace)


def deleted_namespaces(*, home: str | Path | None = None) -> list[Row]:
    """What `restore_namespace` can bring back, the latest first: `namespace`, `deleted_at`, `path`."""
    return namespaces.deleted(_settings(home))


def rename_namespace(old_name: str, new_name: str, *, home: str | Path | None = None) -> int:
    """Give a namespace another name, with all that belongs to it or not at all; give how many memories it has.

    Raises `InvalidInput` if there is one of the new name, `UnknownNamespace` if there is none of the old.
    """
    return namespaces.rename(_settings(home), old_name, new_name)


def export_namespace(
    namespace: str = "shared",
    output_path: str | Path | None = None,
    *,
    home: str | Path | None = None,
    format: str | None = None,
) -> Row:
    """Write what may leave a namespace to a file or a folder: see docs/IMPORT.md for what it looks like.

    `format`: json, jsonl, markdown or tar.gz; None: by the name. Gives `mesh_version, written_by, exported_at,
    namespace, memory_count, skipped_local_only`, and `format, path, refused` (files that cannot be understood, which
    stay). Without `output_path` nothing is written, and the memories themselves are given as `memories`.
    """
    from .portability import exporting

    with Mesh(namespace, home=home) as mesh:
        if output_path is None:
            return exporting.exported(mesh.workspace)
        kind = format or exporting.kind_of(str(output_path))
        return exporting.export(mesh.workspace, Path(output_path).expanduser(), kind)


def import_namespace(
    input_path: str | Path,
    target_namespace: str | None = None,
    *,
    dry_run: bool = False,
    replace: bool = False,
    home: str | Path | None = None,
    progress: Progress | None = None,
    allow_secrets: Sequence[str] | None = None,
) -> Row:
    """Take in the memories of a file or folder of any kind in docs/IMPORT.md. To import twice adds nothing.

    `target_namespace`: None for the one that the source names, else `MESH_NAMESPACE`. `replace`: a memory here that
    differs gives way; its old text goes to the trash. `allow_secrets`: see `Mesh.learn`; what is refused as a secret is
    a problem. Gives `namespace, imported, skipped, errors, present, same_text, differs, replaced, local_only, dry_run,
    problems` (the first 100), and in a dry run `would_import`. Raises `MeshError` also where the source breaks off;
    what came before is imported then.
    """
    from .portability.importing import import_source
    from .portability.reading import namespace_of

    source = Path(input_path).expanduser()
    with Mesh(target_namespace or namespace_of(source), home=home) as mesh:
        result = import_source(
            mesh.workspace, source, dry_run=dry_run, replace=replace, progress=progress, allow_secrets=allow_secrets
        )
    if result.broke_off:
        raise result.broke_off
    return result.as_dict()


def _settings(home: str | Path | None) -> Settings:
    settings = Settings.from_environment()
    if home is None:
        return settings
    if not str(home):
        raise InvalidInput("it is empty", place="home", remedy="Give a folder")
    return replace(settings, home=Path(home).expanduser().absolute())
