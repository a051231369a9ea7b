"""Resources, their completion and their notices, and the prompts."""

from __future__ import annotations

import json
import os

import anyio
import pytest
from hashing import write
from mcp import MCPError, types
from mcp.client.subscriptions import ResourcesListChanged, ResourceUpdated
from mcp_talk import MODES, PATIENCE_SECONDS, talk

from mesh import Mesh
from mesh.context import NOTICE

INVALID_PARAMS = -32602

# What older clients use is deprecated, and served all the same.
pytestmark = pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")


@pytest.fixture
def server(mcp_server, without_model):
    return mcp_server()


def lamp(home, memory_id="aaaa0000", text="The lamp is lit", namespace="shared"):
    return write(home, f"{namespace}/{memory_id}.md", f"---\nid: {memory_id}\ntags: [light]\n---\n{text}\n")


# --- resources ---------------------------------------------------------------------------


def read(server, uri) -> str:
    [content] = talk(server, lambda client: client.read_resource(uri)).contents
    return content.text


def test_a_memory_is_read_by_its_uri_as_reference_data(server, home):
    """Whole, quoted, with its facts; in whatever spelling its URI has."""
    text = "The lamp is lit\n" + "long " * 12_000 + "end"
    lamp(home, text=text)
    for uri in ("mesh://shared/aaaa0000", "mesh://shared/AAAA0000", "mesh://shared/%61aaa0000"):
        said = read(server, uri)
        assert NOTICE in said and "#light" in said and "`aaaa0000`" in said
        assert said.replace("> ", "").endswith("long end\n")


def test_the_namespaces_are_a_resource(server, home):
    """Their names, and the server's own, which counts even before it exists."""
    lamp(home, namespace="other")
    assert json.loads(read(server, "mesh://namespaces")) == {"namespaces": ["other", "shared"], "default": "shared"}


@pytest.mark.parametrize("mode", MODES)
def test_the_list_has_all_memories_page_by_page_the_youngest_first(server, home, mode):
    """The first entry of the first page is the namespaces."""
    for number in range(120):
        write(
            home,
            f"shared/{number}.md",
            f"---\nid: id{number:03}\ncreated: 2026-01-01T00:{number // 60:02}:{number % 60:02}\n---\nLamp {number}\n",
        )

    async def walk(client):
        pages, cursor = [], None
        while not pages or cursor:
            page = await client.list_resources(cursor=cursor)
            pages.append(page.resources)
            cursor = page.next_cursor
        return pages

    pages = talk(server, walk, mode)
    assert len(pages) == 3
    first, *rest = [resource for page in pages for resource in page]
    assert first.uri == "mesh://namespaces"
    assert [resource.uri for resource in rest] == [f"mesh://shared/id{number:03}" for number in reversed(range(120))]
    assert (rest[0].name, rest[0].title, rest[0].mime_type) == ("id119", "Lamp 119", "text/markdown")
    assert "2026-01-01" in rest[0].description


@pytest.mark.parametrize(
    "uri",
    [
        *(
            "mesh://shared/zzzz0000",
            "mesh://nowhere/aaaa0000",
            "mesh://shared/aaaa",
            "mesh://shared",
            "mesh:///aaaa0000",
        ),
        *("mesh://shared/aaaa0000/x", "mesh://shared/../aaaa0000", "mesh://shared/aaaa0000?x=1", "mesh://namespaces/"),
        *("file:///etc/passwd", "http://localhost/", "shared/aaaa0000", "", "mesh://shared/%2e%2e%2fx", "mesh://[/x"),
    ],
)
@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
def test_what_is_no_resource_is_the_protocols_error(server, home, uri, mode):
    """With the URI that was asked for."""
    lamp(home)
    with pytest.raises(MCPError) as caught:
        talk(server, lambda client: client.read_resource(uri), mode)
    assert caught.value.code == INVALID_PARAMS
    assert caught.value.data == {"uri": uri}


def test_a_cursor_of_somebody_else_is_refused(server):
    """Not taken for the beginning."""
    for cursor in ("x", "-1", "1.5", "9" * 20, "٣"):
        with pytest.raises(MCPError, match="cursor") as caught:
            talk(server, lambda client, cursor=cursor: client.list_resources(cursor=cursor))
        assert caught.value.code == INVALID_PARAMS


# --- completion ---------------------------------------------------------------------------


def complete(server, name, value, **known) -> list[str]:
    ref = types.ResourceTemplateReference(uri="mesh://{namespace}/{id}")
    argument = {"name": name, "value": value}
    found = talk(server, lambda client: client.complete(ref, argument, context_arguments=known or None))
    return found.completion.values


def test_the_parts_of_a_memorys_uri_are_completed(server, home):
    """Namespaces by their beginning; ids by theirs, of the namespace that is there already."""
    lamp(home)
    lamp(home, "aaaa1111")
    lamp(home, "bbbb0000", namespace="other")
    assert complete(server, "namespace", "") == ["other", "shared"]
    assert complete(server, "namespace", "SH") == ["shared"]
    assert complete(server, "id", "aaaa", namespace="shared") == ["aaaa0000", "aaaa1111"]
    assert complete(server, "id", "AAAA1") == ["aaaa1111"]
    assert sorted(complete(server, "id", "", namespace="shared")) == ["aaaa0000", "aaaa1111"]
    assert complete(server, "id", "bb", namespace="other") == ["bbbb0000"]
    assert complete(server, "id", "bbbb", namespace="shared") == []
    assert complete(server, "id", "a", namespace="nowhere") == complete(server, "nonsense", "a") == []


def test_a_completion_is_never_longer_than_the_protocol_allows(server, home):
    """A hundred values, and that there are more."""
    for number in range(130):
        lamp(home, f"aaaa{number:04}")
    for begun in ("", "aaaa"):
        assert len(complete(server, "id", begun)) == 100


# --- notices ---------------------------------------------------------------------------


def heard_by_an_older_client(server, ask, change, enough) -> list:
    """The notifications that a client of the versions before 2026 gets, until they are enough."""
    heard = []

    async def listen(message) -> None:
        if isinstance(message, types.ResourceUpdatedNotification):
            heard.append(message.params.uri)
        elif isinstance(message, types.ResourceListChangedNotification):
            heard.append("list")

    async def converse(client):
        await ask(client)
        change()
        with anyio.move_on_after(PATIENCE_SECONDS):
            while not enough(heard):
                await anyio.sleep(0.02)

    talk(server, converse, "legacy", message_handler=listen)
    return heard


def test_an_older_client_is_told_of_a_memory_it_subscribed_to(server, home):
    """When its file is edited by hand; as it spelled the URI, and of no other."""
    file, other = lamp(home), lamp(home, "bbbb0000", "The oven is hot")

    def edit() -> None:
        other.write_text("---\nid: bbbb0000\n---\nThe oven is cold\n")
        file.write_text("---\nid: aaaa0000\n---\nThe lamp is out\n")

    heard = heard_by_an_older_client(
        server, lambda client: client.subscribe_resource("mesh://shared/AAAA0000"), edit, bool
    )
    assert set(heard) == {"mesh://shared/AAAA0000"}


def test_an_older_client_that_saw_the_list_is_told_when_it_changes(server, home):
    """A new file, and a removed one."""
    file = lamp(home)

    def change() -> None:
        lamp(home, "bbbb0000")
        os.unlink(file)

    assert set(heard_by_an_older_client(server, lambda client: client.list_resources(), change, bool)) == {"list"}


def test_an_older_client_that_has_unsubscribed_is_told_nothing_more(server, home):
    """The change of the other one shows that news arrive."""
    one, two = lamp(home), lamp(home, "bbbb0000")

    async def ask(client) -> None:
        for memory_id in ("aaaa0000", "bbbb0000"):
            await client.subscribe_resource(f"mesh://shared/{memory_id}")
        await client.unsubscribe_resource("mesh://shared/aaaa0000")

    def edit() -> None:
        one.write_text("---\nid: aaaa0000\n---\nThe lamp is out\n")
        two.write_text("---\nid: bbbb0000\n---\nThe lamp is out too\n")

    assert set(heard_by_an_older_client(server, ask, edit, bool)) == {"mesh://shared/bbbb0000"}


def heard_on_a_stream(server, change, number, **wanted) -> list:
    """The first events of a stream of the present protocol."""

    async def converse(client):
        heard = []
        async with client.listen(**wanted) as stream:
            change()
            with anyio.move_on_after(PATIENCE_SECONDS):
                async for event in stream:
                    heard.append(event)
                    if len(heard) == number:
                        break
        return heard

    return talk(server, converse)


def test_a_stream_tells_of_the_memories_and_the_list_that_it_asks_for(server, home):
    """Made known by what Mesh itself writes as well as by an editor."""
    file = lamp(home)

    def change() -> None:
        file.write_text("---\nid: aaaa0000\n---\nThe lamp is out\n")
        with Mesh(home=home) as mesh:
            mesh.learn("Something else")

    wanted = {"resource_subscriptions": ["mesh://shared/aaaa0000"], "resources_list_changed": True}
    heard = heard_on_a_stream(server, change, 2, **wanted)
    assert set(heard) == {ResourceUpdated("mesh://shared/aaaa0000"), ResourcesListChanged()}


def test_a_stream_tells_when_there_is_another_namespace(server, home):
    """The resource of the namespaces is one like others."""
    heard = heard_on_a_stream(
        server, lambda: lamp(home, namespace="new"), 1, resource_subscriptions=["mesh://namespaces"]
    )
    assert heard == [ResourceUpdated("mesh://namespaces")]


# --- prompts ---------------------------------------------------------------------------


def prompt(server, name, **arguments) -> str:
    [message] = talk(server, lambda client: client.get_prompt(name, arguments)).messages
    assert message.role == "user"
    return message.content.text


def test_there_are_three_prompts(server):
    """With titles and described arguments."""
    found = talk(server, lambda client: client.list_prompts()).prompts
    assert {one.name: [argument.name for argument in one.arguments] for one in found} == {
        "recall": ["query"],
        "remember": ["text"],
        "brief": [],
    }
    assert all(one.title and one.description for one in found)


def test_the_prompts_bring_memories_as_reference_data(server, home):
    """What answers, or what is there; and a text to be remembered is not stored by the prompt itself."""
    lamp(home)
    for said in (prompt(server, "recall", query="lamp"), prompt(server, "brief")):
        assert NOTICE in said and "> The lamp is lit" in said
    remember = prompt(server, "remember", text="The oven is hot")
    assert "The oven is hot" in remember and "mesh_learn" in remember and "shared" in remember
    with Mesh(home=home) as mesh:
        assert mesh.count() == 1


@pytest.mark.parametrize(
    ("name", "arguments", "word"),
    [
        ("recall", {}, "query"),
        ("recall", {"query": " "}, "query"),
        ("recall", {"query": "x", "count": "5"}, "count"),
        ("brief", {"query": "x"}, "query"),
        ("remember", {"text": "x" * 70_000}, "content"),
        ("forget", {}, "brief"),
    ],
)
def test_a_prompt_asked_wrongly_is_the_protocols_error(server, name, arguments, word):
    """What is wrong is named."""
    with pytest.raises(MCPError, match=word) as caught:
        prompt(server, name, **arguments)
    assert caught.value.code == INVALID_PARAMS
