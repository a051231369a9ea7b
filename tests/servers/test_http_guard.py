"""Who may ask `mesh-http`, in which form, and what a client on another machine can never learn."""

from __future__ import annotations

import http.client
import json
import socket
from urllib.parse import unquote

import pytest
from mesh_servers.http_guard import MAX_BODY_BYTES
from mesh_servers.route_table import ROUTES

from mesh import Mesh

CANARY = "The canary is yellow and lives in the cellar"
SHARED = "The parrot is green and lives in the kitchen"
RECALL = b'{"query": "x"}'
TOKEN = "a-token-that-nobody-guesses"
PATHS = [(route.method, route.path.replace("{memory_id}", "aaaa")) for route in ROUTES if route.name != "events"]


def request(line: str = "POST /recall HTTP/1.1", body: bytes = RECALL, **headers: str | None) -> bytes:
    """The bytes of a request. A header that is None is left out; `_` in a name is `-`."""
    given: dict[str, str | None] = {"Host": "localhost", "Content-Type": "application/json"}
    given |= {"Content-Length": str(len(body))} | {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [line, *(f"{name}: {value}" for name, value in given.items() if value is not None)]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


@pytest.fixture
def nothing_written(home, server):
    """The home after the test is as it was."""
    yield server
    assert not list(home.rglob("*.md"))


# --- by which name it is called --------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:7701", "[::1]", "[::1]:80", "LOCALHOST:1", "localhost:65535"])
def test_its_own_names_are_answered(app, host):
    """With any port: it may be forwarded."""
    assert app.ask("POST", "/recall", RECALL, {"Host": host}).status == 200


@pytest.mark.parametrize(
    "host",
    ["evil.test", "evil.test:7701", "localhost.evil.test", "localhost.", "127.0.0.2", "[::2]", "0.0.0.0", "2130706433",
     "127.1", "[::ffff:127.0.0.1]", "mesh", "localhost-evil.test"],
)  # fmt: skip
def test_a_foreign_name_is_refused(app, home, host):
    """DNS rebinding: the page's own name leads to this machine. 421, whatever the route."""
    for method, path in [*PATHS, ("GET", "/nowhere"), ("OPTIONS", "/learn")]:
        answer = app.ask(method, path, {"content": "x", "query": "x"} if method == "POST" else None, {"Host": host})
        assert (answer.status, answer.error["code"]) == (421, "misdirected"), path
    assert not list(home.rglob("*.md"))


@pytest.mark.parametrize(
    "host", ["", "local host", "localhost:port", "localhost, evil.test", "localhost/", "a@b", "[::1"]
)
def test_a_host_that_is_no_name_is_a_bad_request(app, host):
    """400, as HTTP demands."""
    assert app.ask("POST", "/recall", RECALL, {"Host": host}).status == 400


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0", ""])
def test_a_request_without_host_is_a_bad_request(nothing_written, version):
    """Also of HTTP/1.0, which had none."""
    learn = request(f"POST /learn {version}".strip(), b'{"content": "x"}', Host=None)
    for sent in (learn, request(f"GET /health {version}".strip(), b"", Host=None, Content_Type=None)):
        answer = nothing_written.send(sent)
        assert (answer.status, answer.error["code"]) == (400, "bad_request")


def test_two_hosts_are_a_bad_request(nothing_written):
    """Whichever comes first."""
    for other in ("evil.test", "localhost"):
        sent = request("POST /learn HTTP/1.1", b'{"content": "x"}', host=other)
        assert nothing_written.send(sent).status == 400


def test_the_host_of_a_whole_url_counts_as_well(nothing_written):
    """As it is sent to a proxy: what stands there goes before the header."""
    assert nothing_written.send(request("POST http://evil.test/recall HTTP/1.1")).status == 421
    assert nothing_written.send(request("POST http://localhost/recall HTTP/1.1")).status == 200


# --- from where it is asked ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "origin",
    ["null", "http://evil.test", "https://localhost.evil.test", "http://localhost:3000", "http://127.0.0.1", "",
     "file://", "chrome-extension://abc", "http://localhost:7701 http://evil.test"],
)  # fmt: skip
def test_a_page_of_another_origin_is_refused(app, home, origin):
    """Also one on another port of this machine, and one without an origin. No leave is given to read it."""
    for method, path in [*PATHS, ("OPTIONS", "/learn")]:
        body = {"content": "x", "query": "x"} if method == "POST" else None
        answer = app.ask(method, path, body, {"Host": "localhost:7701", "Origin": origin})
        assert (answer.status, answer.error["code"]) == (403, "forbidden"), path
        assert not [name for name in answer.headers if name.startswith("access-control")]
    assert not list(home.rglob("*.md"))


def test_its_own_page_may_ask(app):
    """One that was served by the name and the port that it asks."""
    for host in ("localhost:7701", "127.0.0.1:7701", "[::1]:7701"):
        assert app.ask("POST", "/recall", RECALL, {"Host": host, "Origin": f"http://{host}"}).status == 200


def test_what_a_foreign_page_embeds_is_refused(app):
    """A picture or a script has no Origin, but browsers say what it is for."""
    for site, status in [("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)]:
        assert app.ask("GET", "/inspect", headers={"Sec-Fetch-Site": site}).status == status


# --- in which form ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "application/jsonp",
     "text/json", "application/json; charset=latin-1", "text/plain; application/json", "application/json, text/plain"],
)  # fmt: skip
def test_a_body_of_another_kind_is_refused(app, home, kind):
    """A form or a script of any page could send the simple ones without asking."""
    for route in ROUTES:
        if route.method == "POST":
            answer = app.ask("POST", route.path, b'{"content": "x"}', {"Content-Type": kind})
            assert (answer.status, answer.error["code"]) == (415, "unsupported_media_type"), route.path
    assert not list(home.rglob("*.md"))


def test_json_may_say_its_characters(app):
    """`application/json; charset=utf-8`."""
    for kind in (
        "application/json; charset=utf-8",
        "Application/JSON;charset=UTF-8",
        'application/json; charset="utf-8"',
    ):
        assert app.ask("POST", "/recall", RECALL, {"Content-Type": kind}).status == 200


def test_a_compressed_body_is_refused(app):
    """Its size could not be known before."""
    assert app.ask("POST", "/recall", RECALL, {"Content-Encoding": "gzip"}).status == 415
    assert app.ask("POST", "/recall", RECALL, {"Content-Encoding": "identity"}).status == 200


def test_a_body_where_there_should_be_none_is_refused(server):
    """GET, HEAD and OPTIONS take their words from the path and the query."""
    for method in ("GET", "HEAD", "OPTIONS"):
        assert server.ask(method, "/inspect", b"{}").status == 400


def test_a_body_of_a_mebibyte_is_read_and_a_larger_one_is_not(app, home):
    """413, whatever is in it."""
    body = json.dumps({"content": "x" * 100}).encode()
    assert app.ask("POST", "/learn", body + b" " * (MAX_BODY_BYTES - len(body))).status == 200
    answer = app.ask("POST", "/learn", body.replace(b"x", b"y") + b" " * (MAX_BODY_BYTES - len(body) + 1))
    assert (answer.status, answer.error["code"]) == (413, "too_large")
    assert len(list(home.rglob("*.md"))) == 1


def test_five_megabytes_are_refused_and_the_client_gets_to_know(nothing_written):
    """It has not read the answer before it has sent all: with a length, in chunks, or asking for leave first."""
    body = b'{"content": "' + b"x" * 5_000_000 + b'"}'
    answers = [nothing_written.ask("POST", "/learn", body)]
    chunks = b"".join(
        b"%x\r\n%s\r\n" % (len(body[at : at + 60_000]), body[at : at + 60_000]) for at in range(0, len(body), 60_000)
    )
    head = request("POST /learn HTTP/1.1", b"", Content_Length=None, Transfer_Encoding="chunked")
    answers.append(nothing_written.send(head + chunks + b"0\r\n\r\n"))
    answers.append(
        nothing_written.send(request("POST /learn HTTP/1.1", b"", Content_Length="5000000", Expect="100-continue"))
    )
    for answer in answers:
        assert (answer.status, answer.error["code"]) == (413, "too_large")
    assert nothing_written.ask("GET", "/health").status == 200


def test_a_body_in_chunks_is_a_body(server):
    """Its length is known at its end."""
    head = request("POST /recall HTTP/1.1", b"", Content_Length=None, Transfer_Encoding="chunked")
    assert server.send(head + b"7\r\n" + RECALL[:7] + b"\r\n7\r\n" + RECALL[7:] + b"\r\n0\r\n\r\n").status == 200


NO_REQUEST = {
    "no HTTP": b"hello\r\n\r\n",
    "no line": b"\r\n\r\nGET\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "a small method": b"get /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a folded header": b"GET /health HTTP/1.1\r\n Host: localhost\r\n\r\n",
    "no length": request(Content_Length="many"),
    "a negative length": request(Content_Length="-1"),
    "a length of 5,000 digits": request(Content_Length="1" * 5000),
    "two lengths": request(content_length="3"),
    "an unknown coding": request(Transfer_Encoding="gzip"),
    "a coding of HTTP/1.0": request("POST /recall HTTP/1.0", Transfer_Encoding="chunked"),
    "a broken chunk": request("POST /recall HTTP/1.1", b"zz\r\n", Content_Length=None, Transfer_Encoding="chunked"),
    "a bare line feed": b"GET /health HTTP/1.1\nHost: localhost\r\n\r\n",
    "a bad address": b"GET http://[::1/health HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


@pytest.mark.parametrize("sent", NO_REQUEST.values(), ids=NO_REQUEST)
def test_what_is_no_request_is_answered_as_json_too(server, sent):
    """400 with the headers of every answer, and nothing of how the server is made."""
    answer = server.send(sent)
    assert (answer.status, answer.error["code"]) == (400, "bad_request"), answer
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert b"waitress" not in answer.body and "server" not in answer.headers
    assert server.ask("GET", "/health").status == 200


def test_headers_without_end_are_refused(server):
    """431; the connection ends there."""
    answer = server.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000)
    assert (answer.status, answer.error["code"]) == (431, "headers_too_large")


@pytest.mark.parametrize("path", ["/health", "/nowhere", "/inspect", "/openapi.json", "/inspect?limit=0"])
def test_every_answer_has_the_security_headers(app, path):
    """A page could be made of any of them."""
    headers = app.get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'none';")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
    assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"
    assert (headers["cache-control"], headers["content-type"]) == ("no-store", "application/json")


# --- the token -------------------------------------------------------------------------------------------------------


@pytest.fixture
def guarded(home, monkeypatch, app):
    """The application with a token."""
    from mesh_servers.http_app import create_app
    from mesh_servers.meshes import Meshes

    app.client = create_app(Meshes(), token=TOKEN).test_client()
    return app


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", TOKEN, f"Basic {TOKEN}", "Bearer \xff"],
)
def test_without_the_token_nothing_is_answered_but_health(guarded, home, authorization):
    """401, which says how to present one."""
    headers = {} if authorization is None else {"Authorization": authorization}
    for method, path in [*PATHS, ("GET", "/events"), ("GET", "/nowhere"), ("OPTIONS", "/learn"), ("HEAD", "/inspect")]:
        answer = guarded.ask(method, path, {"content": "x"} if method == "POST" else None, headers)
        assert answer.status == (200 if path == "/health" else 401), path
        assert path == "/health" or answer.headers["www-authenticate"].startswith("Bearer")
        assert TOKEN.encode() not in answer.body
    assert not list(home.rglob("*.md"))


def test_with_the_token_all_is_as_without_one(guarded):
    """The word Bearer in any case, as HTTP has it."""
    for scheme in ("Bearer", "bearer"):
        assert guarded.ask("POST", "/recall", RECALL, {"Authorization": f"{scheme} {TOKEN}"}).status == 200
    document = guarded.ask("GET", "/openapi.json", headers={"Authorization": f"Bearer {TOKEN}"}).json()
    assert document["paths"]["/learn"]["post"]["security"] == [{"token": []}]
    assert "401" in document["paths"]["/learn"]["post"]["responses"]


# --- local_only ------------------------------------------------------------------------------------------------------


@pytest.fixture
def canary(home, without_model) -> str:
    """The id of a local_only memory, beside a shared one; others are in the trash and in a namespace of their own."""
    with Mesh("shared", home=home) as mesh:
        mesh.learn(SHARED, title="parrot")
        mesh.forget(mesh.learn(f"{CANARY}, or did", local_only=True, title="canary")["memory_id"])
        memory_id = mesh.learn(CANARY, local_only=True, tags=["canary"], title="canary")["memory_id"]
    (home / "_local" / "canary-only").mkdir()
    (home / "_local" / "canary-only" / "a.md").write_text(CANARY)
    (home / "shared" / "by-hand.md").write_text(f"---\nid: handmade1\nlocal_only: true\n---\n{CANARY}, by hand\n")
    (home / "shared" / "broken.md").write_text("---\nlocal_only: [canary\n---\nThe canary is broken\n")
    return str(memory_id)


def everything_that_can_be_asked(memory_id: str, trashed: str) -> list[tuple[str, str, dict | None]]:
    named = [
        memory_id,
        memory_id[:11],
        "handmade1",
        "hand",
        f"_local/shared/canary--{memory_id[:12]}.md",
        "broken.md",
        trashed,
    ]
    return [
        ("GET", "/inspect?limit=1000", None), ("GET", "/inspect?tags=canary", None), ("GET", "/namespaces", None),
        ("GET", "/export", None), ("GET", "/", None), ("GET", "/openapi.json", None),
        ("GET", "/inspect?namespace=x", None),
        ("GET", "/inspect?namespace=canary-only", None), ("GET", "/export?namespace=canary-only", None),
        ("POST", "/recall", {"query": "canary yellow cellar", "count": 1000}),
        ("POST", "/recall", {"query": "canary", "namespace": "canary-only"}),
        ("POST", "/recall", {"query": "canary", "tags": ["canary"]}),
        ("POST", "/context", {"query": "canary"}), ("POST", "/context", {"count": 1000}),
        ("POST", "/context", {"query": "canary", "namespace": "canary-only"}),
        *(("GET", f"/memories/{name.replace('/', '%2F')}", None) for name in named),
        *(("POST", path, {"memory_id": name}) for name in named for path in ("/update", "/restore", "/forget")),
        *(("POST", "/learn", {"content": "A new one", "supersedes": [name]}) for name in named),
    ]  # fmt: skip


def test_a_client_elsewhere_never_sees_what_is_local_only(app, canary, home):
    """Not its text, title, tags, id, path or number, by any route; and it cannot change, forget or restore it."""
    before = {path: path.read_bytes() for path in home.rglob("*.md") if b"canary" in path.read_bytes()}
    trashed = Mesh("shared", home=home).trashed()[0]["id"]
    for method, path, body in everything_that_can_be_asked(canary, trashed):
        answer = app.from_elsewhere().ask(method, path, body)
        asked = f"{unquote(path)} {body}"
        for word in ("yellow", "cellar", "by hand", "canary", canary, "handmade1", trashed, "_local/"):
            assert word not in answer.body.decode() or word in asked, f"{asked}: {answer.body!r}"
        assert answer.status != 500
    assert {path: path.read_bytes() for path in before} == before
    assert app.get(f"/memories/{canary}").json()["memory"]["content"] == CANARY


def test_for_a_client_elsewhere_a_local_memory_is_not_there(app, canary):
    """404, word for word what it hears of an id that nobody has."""
    elsewhere = app.from_elsewhere()
    for path in ("/update", "/forget", "/restore"):
        there, nowhere = (elsewhere.post(path, memory_id=one) for one in (canary, "zzzz"))
        assert there.status == nowhere.status == 404
        assert there.body.replace(canary.encode(), b"zzzz") == nowhere.body
    assert elsewhere.get("/inspect?namespace=canary-only").status == 404
    assert elsewhere.get("/inspect").json()["count"] == 1


def test_a_client_elsewhere_cannot_learn_what_is_local_only(app, home):
    """403: it has left its machine already."""
    answer = app.from_elsewhere().post("/learn", content=CANARY, local_only=True)
    assert (answer.status, answer.error["code"]) == (403, "forbidden")
    assert not list(home.rglob("*.md"))


def test_a_client_elsewhere_may_do_everything_with_what_is_shared(app, canary):
    """Learn, recall, change, forget and restore; counts are of what it may see."""
    elsewhere = app.from_elsewhere()
    found = elsewhere.post("/recall", query="green parrot").json()
    assert [row["content"] for row in found["results"]] == [SHARED]
    assert elsewhere.get("/namespaces").json()["namespaces"][0]["memory_count"] == 1
    memory_id = found["results"][0]["id"]
    assert (
        elsewhere.post("/update", memory_id=memory_id, content="It is red").json()["memory"]["content"] == "It is red"
    )
    assert elsewhere.post("/forget", memory_id=memory_id).status == 200
    assert elsewhere.post("/restore", memory_id=memory_id).json()["memory"]["content"] == "It is red"
    learned = elsewhere.post("/learn", content=CANARY).json()["result"]
    assert (learned["status"], learned["conflict"]) == ("stored", None)


def test_what_became_local_only_cannot_be_had_back_from_the_trash_elsewhere(app, home, without_model):
    """Its text of yesterday, which was shared, lies there; to restore it would throw the local one away."""
    with Mesh("shared", home=home) as mesh:
        memory_id = mesh.learn("The canary is yellow")["memory_id"]
        path = home / mesh.update(memory_id, "The canary is green")["path"]
        path.write_text(path.read_text().replace("---\n", "---\nlocal_only: true\n", 1))
    answer = app.from_elsewhere().post("/restore", memory_id=memory_id)
    assert (answer.status, answer.error["code"]) == (404, "unknown_memory")
    assert app.get(f"/memories/{memory_id}").json()["memory"]["content"] == "The canary is green"
    assert app.post("/restore", memory_id=memory_id).status == 200


def test_a_client_elsewhere_may_supersede_what_it_sees_and_only_that(app, home, canary):
    """An id that a local memory shares with a shared one names neither."""
    elsewhere = app.from_elsewhere()
    (parrot,) = elsewhere.get("/inspect").json()["memories"]
    answer = elsewhere.post("/learn", content="The parrot is red", supersedes=[parrot["id"][:12]])
    assert answer.json()["result"]["superseded"] == [parrot["id"]]
    (home / "shared" / "twin.md").write_text(f"---\nid: {canary}\n---\nThe twin\n")
    answer = elsewhere.post("/learn", content="No canary", supersedes=[canary])
    assert answer.status == 409 and b"_local" not in answer.body
    assert app.post("/recall", query="yellow canary").json()["results"][0]["content"].startswith(CANARY)


def test_a_client_on_this_machine_sees_what_is_local_only(app, canary):
    """By recall, inspect and its id; in context and export, which may travel, not even it."""
    assert app.post("/recall", query="yellow canary").json()["results"][0]["content"].startswith(CANARY)
    assert CANARY in [row["content"] for row in app.get("/inspect").json()["memories"]]
    assert "yellow" not in app.post("/context", query="canary").json()["context"]


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
def test_what_a_proxy_forwards_counts_as_from_elsewhere(app, canary, header):
    """The proxy is on this machine, its client need not be."""
    answer = app.ask("GET", "/inspect", headers={header: "127.0.0.1"})
    assert b"yellow" not in answer.body


def own_address() -> str:
    """An address of this machine that is not a loopback one; "" if it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: the system only chooses a way
        except OSError:
            return ""
        address = probe.getsockname()[0]
    return "" if address.startswith("127.") else address


@pytest.mark.skipif(not own_address(), reason="this machine has no address besides the loopback ones")
def test_over_the_network_local_memories_stay_where_they_are(mesh_http, home, canary):
    """The same process: over its loopback address the canary is there, over the other one it is not."""
    address = own_address()
    server = mesh_http("--host", "0.0.0.0", "--allow-host", address, env={"MESH_HTTP_TOKEN": TOKEN})
    token = {"Authorization": f"Bearer {TOKEN}"}
    asked = ("POST", "/recall", {"query": "canary yellow cellar"}, token)
    assert b"yellow" in server.ask(*asked, host="127.0.0.1").body
    answer = server.ask(*asked, host=address)
    assert (answer.status, b"yellow" in answer.body) == (200, False)
    assert server.ask("POST", "/recall", {"query": "canary"}, host=address).status == 401
    assert server.ask("GET", f"/memories/{canary}", headers=token, host=address).status == 404
    assert "yellow" not in server.said and "cellar" not in server.said


def test_names_that_were_allowed_are_answered(mesh_http):
    """`--allow-host` for a name that leads here."""
    server = mesh_http("--allow-host", "memory.example")
    for host, status in [("memory.example", 200), ("MEMORY.example:80", 200), ("other.example", 421)]:
        assert server.ask("GET", "/inspect", headers={"Host": host}).status == status


def test_a_refused_request_does_not_end_the_connection(server):
    """The next one on it is answered."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    for host, status in [("evil.test", 421), ("localhost", 200), ("evil.test", 421), ("localhost", 200)]:
        connection.request("POST", "/recall", RECALL, {"Host": host, "Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status
    connection.close()
