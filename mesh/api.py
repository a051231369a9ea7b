"""`Mesh`: one namespace, one method a verb. Composes the use cases and decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import change, context, inputs
from .errors import InvalidInput
from .front_matter.edit import Change
from .history_verbs import HistoryVerbs
from .index.filters import Filters
from .learn import learn, new_memory
from .listing import listed
from .memory import Problem, decimal, iso
from .recall import recall
from .rows import Results, Row, learned_row, memory_row, result_rows
from .settings import Settings
from .sharing_verbs import SharingVerbs
from .status import status
from .workspace import Receipt, Workspace

if TYPE_CHECKING:
    from .embedding.protocol import Embedder, Reranker


class Mesh(HistoryVerbs, SharingVerbs):
    """The memories of one namespace, as one agent sees and writes them.

    >>> with Mesh(namespace="my-project", agent_id="coding-agent") as mesh:
    ...     mesh.learn("The API rate limit is 100 requests/min")
    ...     mesh.recall("what are the API constraints?")

    `namespace`: `MESH_NAMESPACE`, else "shared". `agent_id`: `MESH_AGENT_ID`, else "agent". `home`: `MESH_HOME`, else
    `~/.mesh`. A namespace comes into being when something is learned in it; until then it is empty, unless
    `must_exist` asks for `UnknownNamespace`. `embedder`, `reranker`: others than the settings name, see
    `mesh.embedding.protocol`. Threads may share one `Mesh`. Every method raises `MeshError`.
    """

    def __init__(
        self,
        namespace: str | None = None,
        agent_id: str | None = None,
        home: str | Path | None = None,
        *,
        must_exist: bool = False,
        embedder: Embedder | None = None,
        reranker: Reranker | None = None,
    ) -> None:
        settings = Settings.from_environment()
        if home is not None:
            if not str(home):
                raise InvalidInput("it is empty", place="home", remedy="Give a folder")
            settings = replace(settings, home=Path(home).expanduser().absolute())
        self.namespace = inputs.namespace(settings.namespace if namespace is None else namespace)
        self.agent_id = inputs.agent(settings.agent if agent_id is None else agent_id)
        self.workspace = Workspace(settings, self.namespace, embedder, reranker)
        if must_exist:
            self.workspace.vault.require(self.namespace)

    def acting_as(self, agent_id: str) -> Mesh:
        """The same namespace, opened once, for another author."""
        other = copy(self)
        other.agent_id = inputs.agent(agent_id)
        return other

    def __enter__(self) -> Mesh:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the cache. The object opens it again if it is used again."""
        self.workspace.close()

    # --- learning --------------------------------------------------------------------------------------------

    def learn(
        self,
        content: str,
        memory_type: str = "fact",
        confidence: float = 1.0,
        tags: Sequence[str] | None = None,
        ttl_days: float | None = None,
        local_only: bool = False,
        *,
        supersedes: str | Sequence[str] | None = None,
        title: str = "",
        source: str = "",
        allow_secrets: Sequence[str] | None = None,
    ) -> Row:
        """Store a memory, durably, unless its very text is there.

        Gives `memory_id`, `status` ("stored", "stored_with_conflict", "deduplicated"), `path`, `conflict` (None, or
        the memory that this one may be an update of) and `superseded`. Raises `SecretFound` for what looks like a
        secret and is neither `local_only` nor named, by its fingerprint, among `allow_secrets`.
        """
        memory = new_memory(
            content,
            agent=self.agent_id,
            memory_type=memory_type,
            confidence=confidence,
            tags=tags,
            ttl_days=ttl_days,
            local_only=local_only,
            supersedes=supersedes,
            title=title,
            source=source,
        )
        return learned_row(learn(self.workspace, memory, allow_secrets))

    # --- asking ----------------------------------------------------------------------------------------------

    def recall(
        self,
        query: str,
        n: int = 5,
        min_similarity: float = 0,
        min_confidence: float = 0,
        include_stale: bool = True,
        memory_type: str | None = None,
        tags: Sequence[str] | None = None,
        source_agent: str | None = None,
        *,
        count: int | None = None,
        since: str | datetime | None = None,
        until: str | datetime | None = None,
        include_local: bool = True,
    ) -> Results:
        """The memories nearest to `query`, best first, from the files as they are now. `count` is another `n`."""
        now = datetime.now(UTC)
        filters = Filters.checked(
            now=now,
            memory_type=memory_type,
            tags=tags,
            source_agent=source_agent,
            since=since,
            until=until,
            min_confidence=min_confidence,
            include_stale=include_stale,
            include_local=include_local,
        )
        found = recall(
            self.workspace, query, n=n if count is None else count, min_similarity=min_similarity, filters=filters
        )
        return result_rows(found, now)

    def context(
        self,
        query: str | None = None,
        count: int = 10,
        format: str = "markdown",
        min_confidence: float = 0.3,
        memory_type: str | None = None,
        tags: Sequence[str] | None = None,
        *,
        include_local: bool = False,
    ) -> Row:
        """Memories as a text for a prompt: those that answer `query`, or the youngest without one.

        Gives `context`, marked as reference data, and `memory_count`. `format`: markdown, plain, xml or json.
        What is `local_only` stays out unless `include_local` lets it in: a prompt may leave this machine.
        """
        chosen: dict[str, Any] = {"memory_type": memory_type, "tags": tags, "include_local": include_local}
        if query is None or not query.strip():
            rows = self.inspect(count, min_confidence=min_confidence, **chosen)
        else:
            found = self.recall(query, count, min_confidence=min_confidence, **chosen)
            rows = found if found.answered else []
        text, shown = context.render(rows, format, self.namespace)
        return {"context": text, "memory_count": shown}

    def get(self, memory_id: str, *, include_local: bool = True) -> Row:
        """The memory that an id, a unique prefix of 4 or more characters, or a path names."""
        memory, _ = self.workspace.find(memory_id, local=include_local)
        return memory_row(memory, datetime.now(UTC))

    def inspect(
        self,
        limit: int | None = 20,
        *,
        offset: int = 0,
        memory_type: str | None = None,
        tags: Sequence[str] | None = None,
        source_agent: str | None = None,
        since: str | datetime | None = None,
        until: str | datetime | None = None,
        min_confidence: float = 0,
        include_local: bool = True,
    ) -> list[Row]:
        """The youngest memories; all of them with `limit=None`."""
        now = datetime.now(UTC)
        filters = Filters.checked(
            now=now,
            memory_type=memory_type,
            tags=tags,
            source_agent=source_agent,
            since=since,
            until=until,
            min_confidence=min_confidence,
            include_local=include_local,
        )
        if limit is not None and limit < 1:
            raise InvalidInput(f"{limit} is not a number from 1", place="n", remedy="Give one, such as 20")
        memories, _ = listed(self.workspace, filters=filters, limit=-1 if limit is None else limit, offset=offset)
        return [memory_row(memory, now) for memory in memories]

    def count(self) -> int:
        """How many memories there are."""
        return listed(self.workspace, limit=0)[1]

    def file_of(self, memory_id: str) -> Path:
        """Where a memory lies on disk; also of a file that cannot be understood, if it is named by its path."""
        with self.workspace.turn:
            path = self.workspace.cache.run(lambda: self.workspace.fresh_path_of(memory_id))
            return self.workspace.vault.home / path

    def trashed(self) -> list[Row]:
        """What was forgotten or replaced in the last 30 days, the latest first."""
        entries = self.workspace.vault.trash(self.namespace).entries()
        return [{"id": one.memory_id, "path": one.path, "forgotten_at": iso(one.at)} for one in entries]

    def problems(self) -> list[Problem]:
        """What a person should correct in the files, by path."""
        with self.workspace.turn:
            self.workspace.refresh()
            return self.workspace.cache.run(lambda: self.workspace.cache.manifest.problems())

    # --- changing --------------------------------------------------------------------------------------------

    def update(
        self,
        memory_id: str,
        content: str | None = None,
        *,
        memory_type: str | None = None,
        confidence: float | None = None,
        tags: Sequence[str] | None = None,
        ttl_days: float | None = None,
        title: str | None = None,
        allow_secrets: Sequence[str] | None = None,
    ) -> Row:
        """Change a memory in its file, touching only the lines that must change; its old text goes to the trash."""
        changes: dict[str, Change] = {}
        if memory_type is not None:
            changes["type"] = inputs.memory_type(memory_type)
        if confidence is not None:
            changes["confidence"] = decimal(inputs.fraction(confidence, "confidence"))
        if tags is not None:
            changes["tags"] = list(inputs.tags(tags)) or None
        if title is not None:
            changes["title"] = inputs.word(title, "title") or None
        if (days := inputs.ttl_days(ttl_days)) is not None:
            changes["expires"] = iso(datetime.now(UTC) + timedelta(days=days))
        text = None if content is None else inputs.content(content)
        changed = change.update(self.workspace, memory_id, changes, text, allow_secrets=allow_secrets)
        return memory_row(changed, datetime.now(UTC))

    def forget(self, memory_id: str) -> Row:
        """Move a memory to the trash, where it is kept for 30 days."""
        return memory_row(change.forget(self.workspace, memory_id), datetime.now(UTC))

    def restore(self, memory_id: str) -> Row:
        """Bring the newest text of a memory back from the trash; a living one with its id takes its place there."""
        return memory_row(change.restore(self.workspace, memory_id), datetime.now(UTC))

    def clear(self) -> int:
        """Move every memory to the trash, each to be restored by its id; give how many there were."""
        return change.forget_all(self.workspace)

    def status(self) -> Row:
        """What is here. Also of a home or a namespace that does not exist yet."""
        return status(self.workspace) | {"agent": self.agent_id}

    # --- the cache -------------------------------------------------------------------------------------------

    def refresh(self) -> Receipt:
        """Make the cache equal the files now, as every recall does."""
        return self.workspace.refreshed()

    def pending(self) -> int:
        """How many memories have no vectors yet; 0 without a model."""
        with self.workspace.turn:
            return self.workspace.pending()

    def reindex(self, *, from_nothing: bool = False, progress: Callable[[int], None] | None = None) -> Receipt:
        """Embed everything that is pending; `from_nothing` throws the cache away first."""
        with self.workspace.turn:
            if from_nothing:
                self.workspace.cache.discard("it was asked for")
            return self.workspace.reindexed(progress)
