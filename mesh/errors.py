"""Everything Mesh raises on purpose.

    MeshError
    ├── InvalidInput          an argument is not acceptable           (exit 2, HTTP 400)
    ├── NotFound
    │   ├── UnknownNamespace  no such folder in the home              (exit 1, HTTP 404)
    │   └── UnknownMemory     no memory has that id or prefix         (exit 1, HTTP 404)
    ├── AmbiguousId           several memories have that prefix       (exit 1, HTTP 409)
    ├── EditConflict          the file changed since it was read      (exit 1, HTTP 409)
    ├── MalformedMemory       a file's front matter cannot be edited  (exit 1, HTTP 422)
    ├── SecretFound           what is to be shared holds a secret     (exit 1, HTTP 422)
    ├── GitFailed             git could not do it                     (exit 1, HTTP 503)
    │   └── RemoteMoved       somebody else pushed in the meantime    (exit 1, HTTP 503)
    ├── RemoteRefused         what a remote sent must not come in     (exit 1, HTTP 409)
    ├── MayNotLeave           what is to be pushed must stay here     (exit 1, HTTP 409)
    ├── VaultUnavailable      a folder is missing, read-only, full    (exit 1, HTTP 503)
    ├── LockTimeout           another process holds the lock          (exit 1, HTTP 503)
    └── ModelUnavailable      the weights are missing or damaged      (exit 1, HTTP 503)

An error carries place, cause and remedy as data. `str(error)` is the one line that a person reads; only the
edges (command line, MCP, HTTP) print it or turn it into an exit code or a status.
"""

from collections.abc import Sequence


class MeshError(Exception):
    """`place: cause. Remedy.`: what every surface shows."""

    exit_code = 1
    code = "error"

    def __init__(self, cause: str, *, place: str = "", remedy: str = "") -> None:
        super().__init__(cause)
        self.place, self.cause, self.remedy = place, cause, remedy

    def __str__(self) -> str:
        head = f"{self.place}: {self.cause}" if self.place else self.cause
        return f"{head}. {self.remedy}" if self.remedy else head


class InvalidInput(MeshError):
    """An argument is not acceptable; `place` names it."""

    exit_code = 2
    code = "invalid_input"


class NotFound(MeshError):
    """What was asked for does not exist."""

    code = "not_found"


class UnknownNamespace(NotFound):
    code = "unknown_namespace"

    def __init__(self, namespace: str, known: Sequence[str] = (), closest: str | None = None) -> None:
        if closest:
            remedy = f"Did you mean {closest!r}?"
        elif known:
            remedy = f"There are: {', '.join(known)}"
        else:
            remedy = 'Learn something first: mesh learn "..."'
        super().__init__(f"there is no namespace {namespace!r}", remedy=remedy)
        self.namespace = namespace


class UnknownMemory(NotFound):
    code = "unknown_memory"

    def __init__(self, name: str, namespace: str, *, in_trash: bool = False) -> None:
        super().__init__(
            f"no memory {name!r} in {'the trash of ' * in_trash}namespace {namespace!r}",
            remedy=f"List them with: mesh list{' --trash' * in_trash}",
        )


class AmbiguousId(MeshError):
    code = "ambiguous_id"

    def __init__(self, name: str, matches: Sequence[str]) -> None:
        shown = ", ".join(matches[:5]) + (", ..." if len(matches) > 5 else "")
        super().__init__(
            f"{name!r} names {len(matches)} memories ({shown})",
            remedy="Give more characters of the id, or the file's path",
        )
        self.matches = tuple(matches)


class EditConflict(MeshError):
    """The file is not the one that was read. Nothing was lost: `kept_as` is the other text, if it was displaced."""

    code = "edit_conflict"

    def __init__(self, place: str, kept_as: str | None = None) -> None:
        kept = f"; the other text is kept as {kept_as}" if kept_as else ""
        super().__init__(
            f"it was changed by someone else in the meantime{kept}",
            place=place,
            remedy="Read it again and repeat the edit",
        )
        self.kept_as = kept_as


class MalformedMemory(MeshError):
    code = "malformed_memory"

    def __init__(self, path: str, line: int, reason: str, remedy: str = "Correct the file in an editor") -> None:
        super().__init__(reason, place=f"{path}:{line}", remedy=remedy)
        self.path, self.line, self.reason = path, line, reason


class SecretFound(MeshError):
    """What is to be shared holds what looks like a secret. `found`: place, kind, excerpt and fingerprint of each.

    None of them tells the secret.
    """

    code = "secret_found"

    def __init__(self, found: Sequence[tuple[str, str, str, str]]) -> None:
        place, kind, excerpt, _ = found[0]
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        super().__init__(f"it looks like a secret ({kind}: {excerpt}){more}", place=place)
        self.found, self.fingerprints = tuple(found), tuple(one[3] for one in found)
        self.remedy = self.remedied_by("local_only", f"allow_secrets: {', '.join(self.fingerprints)}")

    def remedied_by(self, keep: str, allow: str) -> str:
        """The remedy, in the words that a surface has for local_only and allow_secrets."""
        none = "it is none" if len(self.found) == 1 else "they are none"
        return f"Leave it out; or keep it on this machine ({keep}); or, if {none}, say so ({allow})"


class GitFailed(MeshError):
    """git could not do it; the cause is its own reason, in one line."""

    code = "git_failed"


class RemoteMoved(GitFailed):
    """A push came too late: fetch, merge, and push again. `is_held`: so far somebody keeps others from pushing."""

    code = "remote_moved"
    is_held = False


class RemoteRefused(MeshError):
    """What a remote sent is not merged, any of it. `reasons`: one line each; nothing here was changed."""

    code = "remote_refused"

    def __init__(self, place: str, reasons: Sequence[str], remedy: str) -> None:
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        super().__init__(f"nothing was merged: {reasons[0]}{more}", place=place, remedy=remedy)
        self.reasons = tuple(reasons)


class MayNotLeave(MeshError):
    """Nothing was pushed, since commits hold what must stay on this machine. `reasons`: one line each."""

    code = "may_not_leave"

    def __init__(self, place: str, reasons: Sequence[str], remedy: str) -> None:
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        super().__init__(f"nothing was pushed: {reasons[0]}{more}", place=place, remedy=remedy)
        self.reasons = tuple(reasons)


class VaultUnavailable(MeshError):
    code = "vault_unavailable"


class LockTimeout(MeshError):
    code = "locked"

    def __init__(self, place: str, seconds: float) -> None:
        super().__init__(
            f"another process has held this lock for {seconds:g} s",
            place=place,
            remedy="Wait for it to finish and try again",
        )


class ModelUnavailable(MeshError):
    code = "model_unavailable"
