"""The repository of a namespace, and what a person means by a revision or a date."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from .. import inputs
from ..errors import GitFailed, InvalidInput
from ..git import reading
from ..git.repository import Repository
from ..workspace import Workspace

# What Mesh itself puts into a repository's settings and git could be made to run something by. `remote.origin.url`,
# `branch.*` and `mesh.*`, which sharing writes, run nothing.
OWN_SETTINGS = ("merge.mesh.driver", "merge.mesh.name", "merge.mesh.recursive")
_WHOLE_DAY = re.compile(r"\d{4}-\d\d-\d\d\Z|today\Z|yesterday\Z", re.IGNORECASE)


class Past:
    """The history of one namespace. Raises `GitFailed` if it has none."""

    def __init__(self, workspace: Workspace) -> None:
        folder = workspace.vault.home / workspace.namespace
        if not (folder / ".git").exists():
            raise GitFailed(
                "it is no git repository, so it has no history",
                place=f"namespace {workspace.namespace}",
                remedy="Make it one with git init and a commit",
            )
        self.namespace = workspace.namespace
        self.repository = Repository.open(folder, own=OWN_SETTINGS)

    @property
    def head(self) -> str:
        """The commit that is checked out. Raises `GitFailed` if there is none yet."""
        if found := self.repository.commit_of("HEAD"):
            return found
        raise GitFailed("there is no commit yet", place=f"namespace {self.namespace}", remedy="Commit something first")

    def commit(self, said: str, option: str = "at") -> str:
        """The commit that a revision or a date names. A day means its end. Raises `InvalidInput`."""
        head, said = self.head, inputs.text(said, option).strip()
        if said and not said.startswith("-") and (found := self.repository.commit_of(said)):
            return found
        moment = self._moment(said, option)
        if found := reading.last_before(self.repository, head, moment):
            return found
        raise InvalidInput(
            f"there is no commit yet at {said!r}", place=option, remedy="Give a later time; mesh log shows all"
        )

    def _moment(self, said: str, option: str) -> datetime:
        try:
            moment = inputs.moment(said, option, datetime.now(UTC))
        except InvalidInput as error:
            raise InvalidInput(
                f"{said!r} is neither a revision of this repository nor a time",
                place=option,
                remedy="Give a commit, a branch, 2026-01-31, 3d or yesterday; mesh log shows commits",
            ) from error
        assert moment
        return moment + timedelta(days=1, seconds=-1) if _WHOLE_DAY.match(said) else moment

    def in_repository(self, path: str) -> str:
        """A path of the home as the repository has it."""
        return path.removeprefix(f"{self.namespace}/")

    def in_home(self, path: str) -> str:
        """A path of the repository as the home has it."""
        return f"{self.namespace}/{path}"
