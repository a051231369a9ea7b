"""Tells clients which resources changed, by the feed of the home, from the moment that one of them wants to know.

Clients of the versions before 2026 subscribe to a URI, and are told of a changed list once they have asked for it;
later ones open a stream (`subscriptions/listen`). A URI is told as the client has spelled it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import Counter, OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import anyio
from anyio import to_thread
from mcp import types
from mcp.server.context import ServerRequestContext
from mcp.server.session import ServerSession
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ResourcesListChanged, ResourceUpdated
from mcp.types.version import MODERN_PROTOCOL_VERSIONS

from mesh.errors import MeshError
from mesh.feed import EVERY_NAMESPACE, Event, Feed, Subscription

from . import mcp_resources
from .meshes import Meshes

log = logging.getLogger("mesh")

Context = ServerRequestContext[Any, Any]

GATHERING_SECONDS = 0.1  # changes that come together are told together
MOST_GATHERED = 1000
SECONDS_TO_TELL = 5  # one client
MOST_SESSIONS = 1000  # of the older protocol over HTTP, which does not say when one ends


@dataclass(slots=True)
class _Client:
    """A client of the versions before 2026: how to reach it, and what it has subscribed to."""

    session: ServerSession
    uris: set[str] = field(default_factory=set)


class Notices:
    """What clients want to be told of, and the thread that learns of it."""

    def __init__(self, meshes: Meshes) -> None:
        self._meshes = meshes
        self._clients: OrderedDict[str, _Client] = OrderedDict()  # by the id of the session; "" over stdio
        self._streamed: Counter[str] = Counter()  # URIs that open streams ask for
        self._bus = InMemorySubscriptionBus()
        self._serve_stream = ListenHandler(self._bus)
        self._feed: Feed | None = None
        self._following = False
        self._telling: set[asyncio.Task[None]] = set()
        self._starting = asyncio.Lock()

    def close(self) -> None:
        """End the feed."""
        if self._feed:
            self._feed.close()

    # --- what clients ask for ---------------------------------------------------------------------------------------

    async def subscribe(self, ctx: Context, params: types.SubscribeRequestParams) -> types.EmptyResult:
        client = await self._client(ctx)
        client.uris.add(params.uri)
        return types.EmptyResult()

    async def unsubscribe(self, ctx: Context, params: types.UnsubscribeRequestParams) -> types.EmptyResult:
        client = await self._client(ctx)
        client.uris.discard(params.uri)
        return types.EmptyResult()

    async def listed_to(self, ctx: Context) -> None:
        """This client sees the list, and should know when it changes."""
        if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            await self._client(ctx)

    async def listen(
        self, ctx: Context, params: types.SubscriptionsListenRequestParams
    ) -> types.SubscriptionsListenResult:
        """Serve one stream until its client leaves."""
        uris = params.notifications.resource_subscriptions or []
        if uris or params.notifications.resources_list_changed:
            await self._started()
        self._streamed.update(uris)
        try:
            return await self._serve_stream(ctx, params)
        finally:
            self._streamed -= Counter(uris)

    async def _client(self, ctx: Context) -> _Client:
        await self._started()
        key = ctx.request.headers.get("mcp-session-id", "") if ctx.request else ""
        client = self._clients.setdefault(key, _Client(ctx.session))
        self._clients.move_to_end(key)
        if len(self._clients) > MOST_SESSIONS:
            self._clients.popitem(last=False)
        return client

    # --- what changes ---------------------------------------------------------------------------------------

    async def _started(self) -> None:
        """From when this returns, changes are seen."""
        async with self._starting:
            if self._following:
                return
            try:
                feed = self._feed = self._feed or Feed(self._meshes.settings.home)
                subscription = await to_thread.run_sync(partial(feed.subscribe, include_local=self._meshes.local))
            except MeshError as error:
                log.warning("clients are not told of changes: %s", error)
                return
            self._following = True
            loop = asyncio.get_running_loop()
            threading.Thread(target=self._follow, args=(subscription, loop), name="mesh-notices", daemon=True).start()

    def _follow(self, subscription: Subscription, loop: asyncio.AbstractEventLoop) -> None:
        with subscription, suppress(RuntimeError):  # the loop has ended, and with it the server
            while not subscription.closed:
                events = [event] if (event := subscription.next()) else []
                while events and len(events) < MOST_GATHERED and (more := subscription.next(GATHERING_SECONDS)):
                    events.append(more)
                if events:
                    loop.call_soon_threadsafe(self._begin_to_tell, events)
        self._following = False

    def _begin_to_tell(self, events: Iterable[Event]) -> None:
        task = asyncio.create_task(self._tell(events))
        self._telling.add(task)  # the loop itself keeps no task alive
        task.add_done_callback(self._telling.discard)

    async def _tell(self, events: Iterable[Event]) -> None:
        changed = _Changed(events)
        for key, client in list(self._clients.items()):
            with anyio.move_on_after(SECONDS_TO_TELL) as told:
                for uri in filter(changed.touches, sorted(client.uris)):
                    await client.session.send_resource_updated(uri)
                if changed.list:
                    await client.session.send_resource_list_changed()
            if told.cancelled_caught:  # it has stopped reading, and must not keep the others waiting again
                self._clients.pop(key, None)
        for uri in [uri for uri in self._streamed if changed.touches(uri)]:
            await self._bus.publish(ResourceUpdated(uri))
        if changed.list:
            await self._bus.publish(ResourcesListChanged())


class _Changed:
    """What some events mean for resources. `list`: whether there may be others than before."""

    def __init__(self, events: Iterable[Event]) -> None:
        told = list(events)
        self.list = any(event.kind != "changed" for event in told)
        self._namespaces = {event.namespace for event in told if event.kind == "reset"}
        self._memories = {(event.namespace, event.id.lower()) for event in told}

    def touches(self, uri: str) -> bool:
        try:
            namespace, memory_id = mcp_resources.split(uri)
        except MeshError:
            return False
        if not memory_id:
            return self.list
        anything = bool(self._namespaces & {namespace.lower(), EVERY_NAMESPACE})
        return anything or (namespace.lower(), memory_id.lower()) in self._memories
