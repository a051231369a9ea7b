"""What each route does, and what it says to a request that it cannot answer."""

from __future__ import annotations

import json

import pytest
from hashing import write
from mesh_servers.http_errors import STATUSES, status_of
from mesh_servers.route_table import ROUTES

from mesh import errors
from mesh.errors import MeshError

LIMIT, DEPLOY = "The API rate limit is 100 requests/min", "Deploys use ./scripts/deploy.sh"


@pytest.fixture
def learned(app) -> str:
    """The id of a memory."""
    return app.post("/learn", content=LIMIT, tags=["api"]).json()["result"]["memory_id"]


# --- what they answer ------------------------------------------------------------------------------------------------


def test_health_says_that_it_answers_and_nothing_else(app):
    """No name, no path, no count."""
    assert list(app.get("/health").json()) == ["status", "version"]


def test_the_first_page_names_every_route(app):
    """Whoever opens the address in a browser sees what this is."""
    assert list(app.get("/").json()["routes"]) == [f"{route.method} {route.path}" for route in ROUTES]


def test_what_is_learned_is_recalled(app):
    """By the bodies that were published, with their keys."""
    learned = app.post("/learn", content=DEPLOY, memory_type="process").json()
    assert (learned["status"], learned["result"]["status"]) == ("ok", "stored")
    found = app.post("/recall", query="how to deploy", count=3).json()
    assert list(found) == ["status", "results", "count", "answered", "namespace", "receipt"]
    assert [(row["content"], row["memory_type"]) for row in found["results"]] == [(DEPLOY, "process")]
    assert (found["status"], found["count"], found["namespace"]) == ("ok", 1, "shared")
    assert found["receipt"]["scanned"] == 1


def test_n_is_another_name_of_count(app, learned):
    """As in Python."""
    app.post("/learn", content=DEPLOY)
    assert app.post("/recall", query="API deploys", n=1).json()["count"] == 1


def test_learn_takes_every_part_of_a_memory(app):
    """And the author from the body."""
    body = {
        "content": LIMIT, "memory_type": "decision", "confidence": 0.5, "tags": ["API", "#limits"], "ttl_days": 30,
        "title": "Limits", "source": "docs", "agent_id": "coding-agent", "local_only": True, "namespace": "My.Project",
    }  # fmt: skip
    memory_id = app.post("/learn", **body).json()["result"]["memory_id"]
    row = app.get(f"/memories/{memory_id}?namespace=my.project").json()["memory"]
    assert row["tags"] == ["API", "limits"]
    assert (row["confidence"], row["source_agent"], row["title"], row["source"]) == (
        0.5,
        "coding-agent",
        "Limits",
        "docs",
    )
    assert (row["local_only"], row["memory_type"], row["content"]) == (True, "decision", LIMIT)
    assert row["expires_at"]


def test_null_counts_as_absent(app):
    """What many clients send for an argument that was not given."""
    nothing = dict.fromkeys(["memory_type", "tags", "ttl_days", "namespace", "agent_id", "supersedes", "local_only"])
    assert app.post("/learn", content=LIMIT, **nothing).status == 200
    nothing = dict.fromkeys(["count", "memory_type", "tags", "since", "until", "source_agent", "include_stale"])
    assert app.post("/recall", query="rate limit", **nothing).json()["count"] == 1


def test_recall_and_inspect_take_the_same_filters(app):
    """Type, tags, author and time, in a body or in the query."""
    app.post("/learn", content=LIMIT, tags=["api", "slow"], agent_id="coding-agent", memory_type="decision")
    app.post("/learn", content="The API is old", tags=["api"])
    for name, value in [("memory_type", "decision"), ("tags", ["api", "slow"]), ("source_agent", "coding-agent")]:
        text = ",".join(value) if isinstance(value, list) else value
        assert [row["content"] for row in app.get(f"/inspect?{name}={text}").json()["memories"]] == [LIMIT]
        found = app.post("/recall", query="API", **{name: value}).json()["results"]
        assert [row["content"] for row in found] == [LIMIT]
    assert app.get("/inspect?tags=api&tags=slow&type=decision&agent=coding-agent&since=yesterday").json()["count"] == 1
    assert app.get("/inspect?until=2020-01-01").json()["count"] == 0


def test_recall_says_whether_it_is_an_answer_and_gives_what_says_the_same_once(app, home):
    """By words alone nothing is known to be unrelated; what is not found at all is no answer."""
    for name in ("aaaa1111", "bbbb2222"):
        write(home, f"shared/{name}.md", f"---\nid: {name}\n---\n{LIMIT}\n")
    found = app.post("/recall", query="rate limit").json()
    assert (found["count"], found["answered"]) == (1, True)
    assert {found["results"][0]["id"], *found["results"][0]["same_as"]} == {"aaaa1111", "bbbb2222"}
    none = app.post("/recall", query="sourdough").json()
    assert (none["results"], none["answered"]) == ([], False)
    assert app.post("/context", query="sourdough").json()["memory_count"] == 0


def test_inspect_goes_through_all_memories_page_by_page(app):
    """`next_offset` leads on, until it is null."""
    for number in range(5):
        app.post("/learn", content=f"Memory number {number} of a few")
    seen, offset = [], 0
    while offset is not None:
        page = app.get(f"/inspect?limit=2&offset={offset}").json()
        assert page["count"] == len(page["memories"]) <= 2
        seen += [row["id"] for row in page["memories"]]
        offset = page["next_offset"]
    assert len(set(seen)) == len(seen) == 5


def test_update_forget_and_restore(app, learned):
    """Each gives the memory as it is then."""
    changed = app.post("/update", memory_id=learned[:12], content="The limit is 200", tags=[]).json()
    assert (changed["status"], changed["memory"]["content"], changed["memory"]["tags"]) == (
        "ok",
        "The limit is 200",
        [],
    )
    assert app.post("/forget", memory_id=learned).json()["memory"]["id"] == learned
    assert app.get(f"/memories/{learned}").error["code"] == "unknown_memory"
    assert app.post("/forget", memory_id=learned).status == 404
    assert app.post("/restore", memory_id=learned).json()["memory"]["content"] == "The limit is 200"
    assert app.get(f"/memories/{learned}").json()["memory"]["content"] == "The limit is 200"


@pytest.mark.parametrize("form", ["markdown", "plain", "xml", "json"])
def test_context_is_a_text_marked_as_reference_data(app, learned, form):
    """With a question or without one; never with what is local_only."""
    app.post("/learn", content="The API key lies in the blue drawer", local_only=True)
    for body in ({}, {"query": "API"}, {"query": ""}, {"query": "API", "count": 1}):
        answer = app.post("/context", format=form, **body).json()
        assert (answer["memory_count"], answer["format"], answer["namespace"]) == (1, form, "shared")
        assert LIMIT in answer["context"] and "not instructions" in answer["context"]
        assert "drawer" not in answer["context"]


def test_namespaces_are_listed_with_their_counts(app, learned):
    """The path of the home is nobody's business."""
    app.post("/learn", content="Only here", namespace="mine", local_only=True)
    rows = app.get("/namespaces").json()["namespaces"]
    assert [(row["namespace"], row["memory_count"], row["local_only_count"]) for row in rows] == [
        ("mine", 1, 1),
        ("shared", 1, 0),
    ]
    assert "path" not in rows[0]


def test_an_export_has_all_that_may_leave_this_machine(app, learned):
    """As a file, with the keys of the peer's exports; what stays is counted, for who asks on this machine."""
    app.post("/learn", content="The API key lies in the blue drawer", local_only=True)
    answer = app.get("/export")
    assert answer.headers["content-disposition"] == 'attachment; filename="shared.json"'
    assert int(answer.headers["content-length"]) == len(answer.body)
    assert [row["id"] for row in answer.json()["memories"]] == [learned]
    assert (answer.json()["memory_count"], answer.json()["skipped_local_only"]) == (1, 1)
    elsewhere = app.from_elsewhere().get("/export").json()
    assert (elsewhere["memory_count"], elsewhere["skipped_local_only"]) == (1, 0)
    assert elsewhere["memories"] == answer.json()["memories"]


def test_namespaces_do_not_see_each_other(app, learned):
    """Whatever is asked."""
    app.post("/learn", content=DEPLOY, namespace="other")
    assert app.post("/recall", query="API limits, deploys", namespace="other").json()["results"][0]["content"] == DEPLOY
    assert app.get(f"/memories/{learned}?namespace=other").status == 404
    assert app.post("/forget", memory_id=learned, namespace="other").status == 404
    assert app.get("/inspect?namespace=other").json()["count"] == 1


def test_a_namespace_that_is_nowhere_is_an_error_where_it_is_read_and_comes_by_learning(app, learned):
    """The server's own counts as existing, and is empty."""
    for method, path, body in [
        ("POST", "/recall", {"query": "x"}), ("POST", "/context", {}), ("GET", "/inspect", None),
        ("GET", "/memories/aaaa", None), ("POST", "/forget", {"memory_id": "aaaa"}),
        ("POST", "/update", {"memory_id": "aaaa"}), ("POST", "/restore", {"memory_id": "aaaa"}),
    ]:  # fmt: skip
        name = "sharde"
        answer = (
            app.ask(method, f"{path}?namespace={name}", None)
            if body is None
            else app.post(path, namespace=name, **body)
        )
        assert (answer.status, answer.error["code"]) == (404, "unknown_namespace"), path
        assert "shared" in answer.error["remedy"]
    assert app.post("/learn", content="x", namespace="sharde").status == 200
    assert app.get("/inspect?namespace=sharde").json()["count"] == 1


def test_the_servers_own_namespace_is_empty_before_anything_is_learned(app):
    """Not unknown."""
    assert app.get("/inspect").json() == {"memories": [], "count": 0, "namespace": "shared", "next_offset": None}
    assert app.post("/recall", query="anything").json()["results"] == []
    assert app.get("/inspect?namespace=SHARED").status == 200


def test_an_edit_of_a_file_shows_in_the_next_answer(app, home, learned):
    """Files are the truth here, too."""
    path = home / app.get(f"/memories/{learned}").json()["memory"]["path"]
    path.write_text(path.read_text().replace("100", "250"))
    assert "250" in app.post("/recall", query="rate limit").json()["results"][0]["content"]


# --- methods and routes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_another_method_is_refused_and_told_which_there_are(app, route):
    """405 with Allow, in the form of every error; OPTIONS names them without allowing other origins anything."""
    path = route.path.replace("{memory_id}", "aaaa")
    for method in ("PUT", "DELETE", "PATCH", "TRACE", "POST" if route.method == "GET" else "GET"):
        answer = app.ask(method, path, {} if method == "POST" else None)
        assert (answer.status, answer.error["code"]) == (405, "method_not_allowed")
        assert route.method in answer.headers["allow"]
    options = app.ask("OPTIONS", path)
    assert (options.status, options.body) == (200, b"")
    assert route.method in options.headers["allow"]
    assert not [name for name in options.headers if name.startswith("access-control")]


def test_head_is_get_without_its_body(app, learned):
    """Also of an error."""
    for path, status in [("/inspect", 200), ("/nowhere", 404), (f"/memories/{learned}", 200), ("/events", 200)]:
        answer = app.ask("HEAD", path)
        assert (answer.status, answer.body) == (status, b"")


@pytest.mark.parametrize("path", ["/lern", "/learn/", "/memories/", "/memories/a/b", "/x" * 500, "/%00", "/%ff", "/.."])
def test_an_unknown_route_is_a_404_in_the_form_of_every_error(app, path):
    """With the closest one where there is one."""
    answer = app.get(path)
    assert (answer.status, answer.error["code"]) == (404, "unknown_route")
    assert path != "/lern" or answer.error["remedy"] == "Did you mean /learn?"


# --- bodies ----------------------------------------------------------------------------------------------------------

NO_JSON = {
    "empty": (b"", "empty"),
    "cut off": (b'{"query": "x"', "line 1, column 14"),
    "on its second line": (b'{"query": "x",\n "count": }', "line 2, column 11"),
    "a list": (b'["query"]', "not a JSON object"),
    "a text": (b'"query"', "not a JSON object"),
    "null": (b"null", "not a JSON object"),
    "a key twice": (b'{"query": "x", "query": "y"}', "'query' stands there twice"),
    "NaN": (b'{"query": "x", "min_confidence": NaN}', "NaN"),
    "infinity": (b'{"query": "x", "min_confidence": -Infinity}', "Infinity"),
    "a number beyond floats": (b'{"query": "x", "min_confidence": 1e999}', "too large"),
    "a number of 10,000 digits": (b'{"query": "x", "count": 1' + b"0" * 9_999 + b"}", "10,000 digits"),
    "100,000 brackets": (b"[" * 100_000, "nested"),
    "100,000 objects": (b'{"a":' * 100_000, "nested"),
    "a deep list": (b'{"query": ' + b"[" * 500 + b"]" * 500 + b"}", "a list, not text"),
    "Latin-1": ('{"query": "é"}'.encode("latin-1"), "UTF-8"),
    "UTF-16": ('{"query": "x"}'.encode("utf-16"), "UTF-8"),
    "a NUL between": (b'{"query": \0"x"}', "not JSON"),
    "two documents": (b'{"query": "x"} {}', "Extra data"),
    "single quotes": (b"{'query': 'x'}", "column 2"),
    "a form": (b"query=x&count=3", "not JSON"),
}


@pytest.mark.parametrize(("body", "cause"), NO_JSON.values(), ids=NO_JSON)
def test_a_body_that_is_not_one_json_object_is_refused_with_its_place(app, body, cause):
    """400, and where it goes wrong."""
    answer = app.ask("POST", "/recall", body)
    assert (answer.status, answer.error["code"]) == (400, "invalid_input")
    assert answer.error["message"].startswith(("body: ", "query: ")) and cause in answer.error["message"]
    assert answer.error["remedy"]


def test_a_body_may_begin_with_a_byte_order_mark(app):
    """Some shells put one there."""
    assert app.ask("POST", "/recall", b'\xef\xbb\xbf{"query": "x"}').status == 200


WRONG = {
    "/learn": {
        "content": [None, 5, True, ["x"], {"a": 1}, "", " \n", "a\0b", "\ud800", "x" * 65_537, "ä" * 32_769],
        "memory_type": [5, "", "Fact", "opinion", ["fact"]],
        "confidence": ["1", -0.1, 1.1, 10**9, True, []],
        "tags": ["api", 5, [5], [None], ["a,b"], ["x" * 129], ["a\nb"], [str(n) for n in range(33)], {"a": "b"}],
        "local_only": ["true", 1, 0, "no"],
        "ttl_days": ["30", 0, -1, 36_501, 10**17, True],
        "supersedes": ["01kb2x7m9q4d", [5], ["abc"]],
        "title": [5, "a\nb", "x" * 129, "null", "\ud800"],
        "namespace": [
            5,
            "",
            "../x",
            "a b",
            "..",
            "con",
            "nul.md",
            "x" * 64,
            ".hidden",
            "a/b",
            " shared",
            "a\0",
            "é",
            "x.",
        ],
        "agent_id": [5, "", " ", "a\nb", "x" * 129, "~"],
    },
    "/recall": {
        "query": [None, 5, [], "", "  ", "a\0b", "\udfff", "x" * 16_385],
        "count": [0, -1, 10**9, 1001, "5", 2.5, True, []],
        "n": [0, 10**9],
        "min_similarity": [-1.1, 2, "high"],
        "include_stale": ["yes", 1],
        "since": [5, "", "soon", "2026-13-01", "9999999 weeks", "x" * 100],
        "until": ["later"],
        "source_agent": [5, ""],
    },
    "/context": {"format": ["html", "", 5], "count": [0, 10**9], "query": [5, "x" * 16_385], "min_confidence": [2]},
    "/update": {"memory_id": [None, 5, "", "abc", "x" * 2000], "content": ["", 5], "tags": ["x"], "confidence": [2]},
    "/forget": {"memory_id": [None, 5, [], "abc"], "namespace": ["../shared"]},
    "/restore": {"memory_id": [None, "abc", {}]},
}
NEEDED = {"/learn": {"content": LIMIT}, "/recall": {"query": "x"}, "/context": {}}
NEEDED |= {path: {"memory_id": "aaaa"} for path in ("/update", "/forget", "/restore")}


@pytest.mark.parametrize(("path", "key"), [(path, key) for path, keys in WRONG.items() for key in keys])
def test_a_value_that_is_not_acceptable_is_refused_by_the_name_of_its_key(app, home, path, key):
    """400, and nothing is written."""
    for value in WRONG[path][key]:
        answer = app.ask("POST", path, NEEDED[path] | {key: value})
        assert (answer.status, answer.error["code"]) == (400, "invalid_input"), value
        assert answer.error["message"].startswith(f"{'count' if key == 'n' else key}: "), (value, answer.error)
        assert answer.error["remedy"] and len(answer.body) < 1000
    assert not list(home.rglob("*.md"))


@pytest.mark.parametrize("path", [route.path for route in ROUTES if route.method == "POST"])
def test_an_unknown_key_is_named_with_the_closest_known_one(app, path):
    """It would otherwise be ignored in silence, and the user none the wiser."""
    answer = app.post(path, **NEEDED[path], name_space="x")
    assert (answer.status, answer.error["message"]) == (400, "unknown key 'name_space'")
    assert answer.error["remedy"] == "Did you mean 'namespace'?"
    answer = app.ask("POST", path, json.dumps({"zzz" * 100: 1, "\ud800": 2}))
    assert answer.status == 400 and "Known: " in answer.error["remedy"] and len(answer.body) < 1000


def test_a_missing_key_is_named(app):
    """And what it is for."""
    for path, key in [("/learn", "content"), ("/recall", "query"), ("/forget", "memory_id"), ("/update", "memory_id")]:
        answer = app.post(path)
        assert (answer.status, answer.error["message"]) == (400, f"{key}: it is missing")


def test_two_names_of_one_key_are_not_both_taken(app):
    """Which of them would count?"""
    assert app.post("/recall", query="x", count=1, n=2).status == 400


@pytest.mark.parametrize(
    ("query", "said"),
    {
        "limit=0": "limit", "limit=1000000000": "limit", "limit=x": "limit", "limit=": "limit", "limit=1e3": "limit",
        "offset=-1": "offset", "type=opinion": "memory_type", "limit=1&limit=2": "limit", "tags=%00": "tags",
        "tags=%ff": "query string", "x=1": "'x'", "namespace=..%2Fx": "namespace", "since=soon": "since",
        "min_confidence=2": "min_confidence", "min_confidence=nan": "min_confidence",
        "limit=" + "9" * 5000: "limit", "&".join(["limit=1"] * 200): "query string",
    }.items(),
)  # fmt: skip
def test_a_query_that_is_not_acceptable_is_refused_by_the_name_of_its_key(app, query, said):
    """As in a body."""
    answer = app.get(f"/inspect?{query}")
    assert answer.status == 400 and said in answer.error["message"], answer.error


def test_an_id_stands_in_the_path_only(app, learned):
    """`/memories/a?memory_id=b` could mean either."""
    assert app.get(f"/memories/{learned}?memory_id={learned}").status == 400


def test_an_id_that_names_nothing_or_several(app):
    """404 and 409, with what to do."""
    assert app.get("/memories/zzzz").status == 404
    assert app.get("/memories/abc").status == 400
    for name in ("aaaa1111", "aaaa2222"):
        app.post("/learn", content=f"Memory {name}")
    ids = [row["id"] for row in app.get("/inspect").json()["memories"]]
    common = ids[0][: next(place for place in range(16) if ids[0][place] != ids[1][place])]
    answer = app.get(f"/memories/{common}")
    assert (answer.status, answer.error["code"]) == (409, "ambiguous_id")
    assert app.get(f"/memories/{ids[0]}").status == 200


def test_a_file_that_cannot_be_understood_is_422(app, home, learned):
    """With its place; the file stays as it is."""
    path = next((home / "shared").glob("*.md"))
    app.get("/inspect")
    path.write_text("---\ntags: [a\n---\ntext\n")
    answer = app.post("/update", memory_id=path.name, content="new")
    assert (answer.status, answer.error["code"]) == (422, "malformed_memory"), answer.body
    assert path.read_text() == "---\ntags: [a\n---\ntext\n"


def test_a_home_that_is_no_folder_is_503(app, home):
    """And says which."""
    home.rmdir()
    home.write_text("not a folder")
    answer = app.post("/learn", content="x")
    assert (answer.status, answer.error["code"]) == (503, "vault_unavailable")
    assert str(home) in answer.error["message"]


def test_every_error_of_the_library_has_a_status():
    """A new kind of error is given one here, and none is our fault."""

    def kinds(base: type[MeshError]) -> set[type[MeshError]]:
        return {one for kind in base.__subclasses__() for one in {kind, *kinds(kind)}}

    ours = [kind for kind in kinds(MeshError) if kind.__module__ == errors.__name__]
    assert len(ours) > 8
    for kind in ours:
        assert status_of(kind.__new__(kind)) in STATUSES.values(), kind


def test_a_failure_of_ours_is_a_500_that_quotes_no_memory(app, home, caplog, monkeypatch):
    """Its kind and place go to the log, its text, which may hold a memory's, nowhere."""
    import mesh_servers.http_routes as routes

    def broken(call):
        raise KeyError("the canary is yellow")

    monkeypatch.setitem(routes.ACTIONS, "inspect", broken)
    from mesh_servers.http_app import create_app
    from mesh_servers.meshes import Meshes

    answer = create_app(Meshes()).test_client().get("/inspect")
    assert (answer.status_code, answer.json["error"]["code"]) == (500, "internal_error")
    assert "KeyError" in caplog.text and "test_http_routes.py" in caplog.text
    assert "canary" not in caplog.text and b"canary" not in answer.data
