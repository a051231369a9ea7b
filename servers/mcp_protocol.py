"""The Model Context Protocol over the tools, resources and prompts: what is asked comes in, what is known goes out.

Every question to the library runs in a thread, so that the event loop stays free; a client that no longer wants the
answer cancels nothing but the answer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from anyio import to_thread
from mcp import MCPError, types
from mcp.server.caching import CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server

from mesh.errors import AmbiguousId, InvalidInput, MeshError, NotFound
from mesh.settings import Settings
from mesh.version import __version__

from . import mcp_prompts, mcp_resources
from .mcp_calls import Calls
from .mcp_catalogue import INSTRUCTIONS, TOOLS, takes
from .mcp_notices import Notices
from .mcp_tools import ToolFailed, call, said
from .meshes import Meshes

log = logging.getLogger("mesh")

T = TypeVar("T")
Context = ServerRequestContext[Any, Any]

_HOUR = CacheHint(ttl_ms=3_600_000, scope="private")  # what only another start of the server changes
_STALE = CacheHint(ttl_ms=0, scope="private")


class MeshServer(Server[Any]):
    """One server, for any number of clients and every version of the protocol."""

    def __init__(self, settings: Settings, *, local: bool) -> None:
        """`local`: whether it may tell of memories that must not leave this machine."""
        meshes = Meshes(settings, local=local)
        super().__init__(
            "mesh",
            version=__version__,
            title="Mesh",
            description="Shared memory for AI agents, kept as Markdown files",
            instructions=f"{INSTRUCTIONS} {settings.namespace}.",
            cache_hints={
                **dict.fromkeys(("tools/list", "prompts/list", "resources/templates/list", "server/discover"), _HOUR),
                **dict.fromkeys(("resources/list", "resources/read"), _STALE),
            },
            get_tool_input_schema=lambda name: takes(name, local=local) if name in TOOLS else None,
        )
        self._meshes, self._notices, self.calls = meshes, Notices(meshes), Calls(meshes)
        self.middleware.append(self.calls)
        paged, add = types.PaginatedRequestParams, self.add_request_handler
        add("tools/list", paged, self._list_tools)
        add("tools/call", types.CallToolRequestParams, self._call_tool)
        add("resources/list", paged, self._list_resources)
        add("resources/templates/list", paged, self._list_templates)
        add("resources/read", types.ReadResourceRequestParams, self._read)
        add("resources/subscribe", types.SubscribeRequestParams, self._notices.subscribe)
        add("resources/unsubscribe", types.UnsubscribeRequestParams, self._notices.unsubscribe)
        add("subscriptions/listen", types.SubscriptionsListenRequestParams, self._notices.listen)
        add("prompts/list", paged, self._list_prompts)
        add("prompts/get", types.GetPromptRequestParams, self._prompt)
        add("completion/complete", types.CompleteRequestParams, self._complete)

    def close(self) -> None:
        """Let go of the home."""
        self._notices.close()
        self._meshes.close()

    def get_capabilities(self, *arguments: Any, **named: Any) -> types.ServerCapabilities:
        """As the SDK derives them, but for lists: memories come and go, tools and prompts never do."""
        found = super().get_capabilities(*arguments, **named)
        for part in (found.tools, found.prompts, found.resources):
            assert part is not None
            part.list_changed = part is found.resources
        return found

    # --- tools ---------------------------------------------------------------------------------------

    async def _list_tools(self, ctx: Context, params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_tool(name, local=self._meshes.local) for name in TOOLS])

    async def _call_tool(self, ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        if params.name not in TOOLS:
            raise _refused(NotFound(f"there is no tool {params.name[:60]!r}", remedy=f"There are: {', '.join(TOOLS)}"))
        try:
            answer = await to_thread.run_sync(call, self._meshes, params.name, params.arguments or {})
        except ToolFailed as failure:
            return types.CallToolResult(content=[_text(str(failure))], is_error=True)
        return types.CallToolResult(content=[_text(answer["text"])], structured_content=answer)

    # --- resources ---------------------------------------------------------------------------------------

    async def _list_resources(self, ctx: Context, params: types.PaginatedRequestParams) -> types.ListResourcesResult:
        await self._notices.listed_to(ctx)
        found, further = await _asked(mcp_resources.page, self._meshes, params.cursor)
        resources = [types.Resource.model_validate(resource) for resource in found]
        return types.ListResourcesResult(resources=resources, next_cursor=further)

    async def _list_templates(self, ctx: Context, params: Any) -> types.ListResourceTemplatesResult:
        memory = types.ResourceTemplate(
            uri_template=mcp_resources.TEMPLATE,
            name="memory",
            title="A memory",
            description="One memory whole, by its namespace and its id",
            mime_type="text/markdown",
        )
        return types.ListResourceTemplatesResult(resource_templates=[memory])

    async def _read(self, ctx: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        try:
            text, kind = await _asked(mcp_resources.read, self._meshes, params.uri)
        except MCPError as error:
            raise MCPError(error.code, error.message, {"uri": params.uri}) from error
        return types.ReadResourceResult(
            contents=[types.TextResourceContents(uri=params.uri, mime_type=kind, text=text)]
        )

    async def _complete(self, ctx: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
        values: list[str] = []
        if isinstance(params.ref, types.ResourceTemplateReference) and params.ref.uri == mcp_resources.TEMPLATE:
            known = (params.context.arguments if params.context else None) or {}
            argument = params.argument
            values = await _asked(mcp_resources.completed, self._meshes, argument.name, argument.value, known)
        more = len(values) == mcp_resources.MOST_COMPLETIONS
        return types.CompleteResult(completion=types.Completion(values=values, has_more=more))

    # --- prompts ---------------------------------------------------------------------------------------

    async def _list_prompts(self, ctx: Context, params: Any) -> types.ListPromptsResult:
        return types.ListPromptsResult(prompts=[_prompt(name) for name in mcp_prompts.PROMPTS])

    async def _prompt(self, ctx: Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        if params.name not in mcp_prompts.PROMPTS:
            known = ", ".join(mcp_prompts.PROMPTS)
            raise _refused(NotFound(f"there is no prompt {params.name[:60]!r}", remedy=f"There are: {known}"))
        text = await _asked(mcp_prompts.text_of, self._meshes, params.name, params.arguments or {})
        message = types.PromptMessage(role="user", content=_text(text))
        return types.GetPromptResult(description=mcp_prompts.PROMPTS[params.name].description, messages=[message])


async def _asked(function: Callable[..., T], *arguments: Any) -> T:
    """The library's answer, from a thread; what it raises becomes an error of the protocol."""
    try:
        return await to_thread.run_sync(partial(function, *arguments))
    except MeshError as error:
        raise _refused(error) from error
    except Exception as error:
        log.exception("%s failed", function.__name__)
        raise MCPError(types.INTERNAL_ERROR, f"{type(error).__name__}. The server's log says more") from error


def _refused(error: MeshError) -> MCPError:
    asked_wrongly = isinstance(error, (InvalidInput, NotFound, AmbiguousId))
    return MCPError(types.INVALID_PARAMS if asked_wrongly else types.INTERNAL_ERROR, said(error))


def _text(text: str) -> types.TextContent:
    return types.TextContent(text=text)


def _tool(name: str, *, local: bool) -> types.Tool:
    tool = TOOLS[name]
    return types.Tool(
        name=name,
        title=tool.title,
        description=tool.description,
        input_schema=takes(name, local=local),
        output_schema=tool.gives,
        annotations=types.ToolAnnotations.model_validate(tool.hints),
        _meta={"anthropic/alwaysLoad": True} if tool.always else None,
    )


def _prompt(name: str) -> types.Prompt:
    prompt = mcp_prompts.PROMPTS[name]
    arguments = [
        types.PromptArgument(name=key, description=what, required=True) for key, what in prompt.arguments.items()
    ]
    return types.Prompt(name=name, title=prompt.title, description=prompt.description, arguments=arguments)
