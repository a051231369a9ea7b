"""The verbs of `Mesh` for what is shared through git."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .workspace import Workspace

Row = dict[str, Any]


class SharingVerbs:
    namespace: str
    workspace: Workspace

    def sync(self, *, accept: Sequence[str] = (), patience_seconds: float = 600.0) -> Row:
        """Bring the namespace and its remote together: commit, fetch, merge, write what arrived, push.

        Gives `namespace, commit, remote, pushed, new, changed, gone, conflicts` (paths), `kept_back` and `left_out`
        (`path, line, key, cause, remedy`), `notes` of the merge, `purged` (`id, backup`); and what arrived beside what
        was here: `contradicts`, `duplicates` (see `sharing.arrivals`), `compared_by`, `not_compared`. `accept`:
        "rewritten", "unrelated", "gone", for a remote that lost what it had, and nothing of ours is lost by it;
        "purged": see `purge`. `patience_seconds`: for another process that syncs it to end. A folder of a project is
        only committed: `project`, `committed`. Raises `RemoteRefused`, `MayNotLeave`, `GitFailed`, `LockTimeout`.
        """
        from .sharing import syncing

        report = syncing.sync(self.workspace.settings, self.namespace, accept, patience_seconds=patience_seconds)
        report.compare(self.workspace)
        return report.as_dict()

    def purge(self, memory_id: str, *, push: bool = False, dry_run: bool = False) -> Row:
        """Take a memory out for real: files, trash, cache, and every commit of the namespace's repository.

        `memory_id`: all of it. A backup is made, which `backup` names. `push`: replace the remote's branch, if it is
        what it was. Gives `id, files, versions, paths, commits, renamed, refs, signatures, elsewhere` (other files with
        the same text), `remote, branch, remote_has_it, pushed, also_at_remote`. Raises `GitFailed` where the repository
        cannot be made anew, such as one with other worktrees.
        """
        from .purging.verb import forget_for_good

        return forget_for_good(self.workspace, memory_id, push=push, dry_run=dry_run)

    def conflicts(self) -> list[Row]:
        """Memories that two clones changed in two ways.

        Each has `id, path, agent, since` (None and "" if the memory is gone), `rival_id, rival_path, rival_agent,
        rival_since` and `diff`, lines.
        """
        from .sharing import settling

        return settling.conflicts(self.workspace)

    def quarantined(self) -> list[Row]:
        """Files that cannot be read, such as those with conflict markers; each is served as it was last good.

        Each has `path, line, key, cause, remedy` and the `commit` that has the version which is served.
        """
        from .sharing import settling

        return settling.quarantined(self.workspace)

    def resolve(self, memory_id: str, how: str = "ours", *, text: bytes | None = None) -> Row:
        """Settle the conflict of a memory: "ours", "theirs" or "both"; or with a whole file, `text`, in its place."""
        from .sharing import settling

        return settling.resolve(self.workspace, memory_id, how, text)
