"""The process `mesh-http`: how it starts, what it refuses to start with, how it ends, and its streams of events."""

from __future__ import annotations

import fcntl
import http.client
import json
import logging
import os
import re
import signal
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from conftest import COMMAND, JSON, Running
from mesh_servers import events
from mesh_servers.events import MOST_STREAMS, Streams
from mesh_servers.http_errors import Refused
from mesh_servers.listening import listening

from mesh import Mesh
from mesh.errors import MeshError

LINE = re.compile(r"mesh-http: \S.*\. \S.*\n")  # place, cause, and after a full stop the remedy


@contextmanager
def locked(home, namespace="shared"):
    """Hold the namespace's write lock: whoever learns there has to wait."""
    (home / ".locks").mkdir(exist_ok=True)
    with (home / ".locks" / f"{namespace}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def until(true) -> None:
    """Wait for something that is bound to come."""
    for _ in range(3000):
        if true():
            return
        time.sleep(0.01)
    pytest.fail("it did not come")


# --- starting --------------------------------------------------------------------------------------------------------


def test_it_listens_on_both_loopback_addresses(server):
    """`localhost` may mean either."""
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no ::1")
    assert server.ask("GET", "/health", host="127.0.0.1").status == 200
    assert server.ask("GET", "/health", host="::1").status == 200
    assert server.said == (
        f"mesh-http: listening on http://127.0.0.1:{server.port} and http://[::1]:{server.port}, namespace 'shared'\n"
    )


def test_an_address_that_the_machine_lacks_is_left_out_and_said(caplog):
    """A container without IPv6 is served on 127.0.0.1."""
    with caplog.at_level(logging.WARNING):
        sockets = listening(["127.0.0.1", "2001:db8::1"], 0)
    assert [one.getsockname()[0] for one in sockets] == ["127.0.0.1"]
    assert "2001:db8::1: this machine has no such address" in caplog.text
    for one in sockets:
        one.close()
    with pytest.raises(MeshError, match="2001:db8::1"):
        listening(["2001:db8::1"], 0)


def test_nothing_is_said_of_requests(server):
    """Neither of good nor of bad ones; standard error is for what is wrong with the server."""
    server.ask("POST", "/learn", {"content": "the canary is yellow"})
    server.ask("POST", "/recall", {"query": "canary"})
    server.ask("POST", "/recall", {"quest": "canary"})
    server.ask("GET", "/inspect", headers={"Host": "evil.test"})
    said = [line for line in server.said.splitlines() if "recall goes by words only" not in line]
    assert len(said) == 1 and "listening" in said[0]


def test_namespace_and_agent_of_the_command_line_are_those_of_requests_that_name_none(mesh_http, home, without_model):
    """Before those of the environment."""
    server = mesh_http("--namespace", "Mine", "--agent", "http-agent", env={"MESH_NAMESPACE": "yours"})
    server.ask("POST", "/learn", {"content": "Lamps are lit at dusk"})
    with Mesh("mine", home=home) as mesh:
        assert [row["source_agent"] for row in mesh.inspect()] == ["http-agent"]


@pytest.mark.model
def test_a_question_that_comes_while_the_model_is_loaded_is_answered_by_meaning(mesh_http, home):
    """It waits for the model."""
    with Mesh("shared", home=home) as mesh:
        mesh.learn("Invoices are sent on the first Monday of the month")
    answer = mesh_http().ask("POST", "/recall", {"query": "when does billing happen?"}).json()
    assert answer["results"][0]["similarity"] > 0.2
    assert not answer["receipt"]["lexical_only"]


def ran(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *arguments],
        env=dict(os.environ) | (env or {}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_port_in_use_is_one_clear_line(home):
    """Exit 1, which port, and what to do."""
    for family, address in [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]:
        with socket.socket(family) as taken:
            try:
                taken.bind((address, 0))
            except OSError:
                continue
            taken.listen()
            port = taken.getsockname()[1]
            done = ran("--port", str(port))
        assert (done.returncode, done.stdout) == (1, "")
        assert LINE.fullmatch(done.stderr), done.stderr
        assert f"{port} is in use" in done.stderr and "--port" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "env", "said"),
    [
        (["--port", "70000"], {}, "--port: '70000'"),
        (["--port", "-1"], {}, "--port"),
        (["--port", ""], {}, "--port: ''"),
        (["--port", "http"], {}, "--port: 'http'"),
        ([], {"MESH_HTTP_PORT": "7701x"}, "MESH_HTTP_PORT: '7701x'"),
        ([], {"MESH_HTTP_PORT": "65536"}, "MESH_HTTP_PORT: '65536'"),
        (["--host", "0.0.0.0"], {}, "MESH_HTTP_TOKEN"),
        (["--host", "::"], {}, "MESH_HTTP_TOKEN"),
        (["--host", "not a host"], {}, "--host: 'not a host'"),
        (["--namespace", "../x"], {}, "namespace: '../x'"),
        (["--namespace", ""], {}, "namespace"),
        (["--agent", ""], {}, "agent"),
        ([], {"MESH_NAMESPACE": "con"}, "namespace: 'con'"),
        (["--agent", "a\nb"], {}, "agent"),
        (["--allow-host", "http://x"], {}, "--allow-host: 'http://x'"),
        (["--token-file", "/nowhere/token"], {}, "/nowhere/token"),
        (["--token-file", os.devnull], {}, f"{os.devnull}: it is empty"),
        (["--colour"], {}, "--colour"),
        (["serve"], {}, "serve"),
    ],
    ids=str,
)
def test_wrong_usage_is_one_clear_line(home, arguments, env, said):
    """Exit 2; nothing listens, and nothing is made."""
    done = ran(*arguments, env=env)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert LINE.fullmatch(done.stderr) and said in done.stderr
    assert not list(home.iterdir())


def test_help_and_version_are_answered_without_a_server(home):
    """On standard output, exit 0."""
    for option in ("-h", "--help"):
        done = ran(option)
        assert (done.returncode, done.stderr) == (0, "")
        for word in ("--host", "--port", "--namespace", "--agent", "--token-file", "--allow-host", "MESH_HTTP_TOKEN"):
            assert word in done.stdout
    done = ran("--version")
    assert (done.returncode, done.stderr) == (0, "") and re.fullmatch(r"mesh-http \d+\.\d+\.\d+\n", done.stdout)


def test_the_token_may_stand_in_a_file(mesh_http, tmp_path):
    """Its white space does not count."""
    (tmp_path / "token").write_text("secret words\n")
    server = mesh_http("--token-file", str(tmp_path / "token"))
    assert server.ask("GET", "/inspect").status == 401
    assert server.ask("GET", "/inspect", headers={"Authorization": "Bearer secret words"}).status == 200
    assert "secret" not in server.said


# --- serving ---------------------------------------------------------------------------------------------------------


def test_sixteen_clients_at_once_are_all_answered(server, home, without_model):
    """Each learns and recalls on a connection of its own; nothing is lost, nobody is refused."""

    def client(number: int) -> list[int]:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
        statuses = []
        for turn in range(5):
            for path, body in [
                ("/learn", {"content": f"Client {number} learns thing {turn}", "namespace": f"n{number % 3}"}),
                ("/recall", {"query": f"client {number}", "namespace": f"n{number % 3}"}),
            ]:
                connection.request("POST", path, json.dumps(body), JSON)
                answer = connection.getresponse()
                answer.read()
                statuses.append(answer.status)
        connection.close()
        return statuses

    assert server.ask("POST", "/learn", {"content": "first"}).status == 200
    for name in ("n0", "n1", "n2"):
        server.ask("POST", "/learn", {"content": "first", "namespace": name})
    with ThreadPoolExecutor(16) as pool:
        statuses = [status for done in pool.map(client, range(16)) for status in done]
    assert statuses == [200] * 160
    counts = [row["memory_count"] for row in server.ask("GET", "/namespaces").json()["namespaces"]]
    assert sum(counts) == 4 + 80


def test_what_another_process_learns_is_recalled(server, home, without_model):
    """At once, and so is what it forgets."""
    server.ask("POST", "/recall", {"query": "walrus"})
    with Mesh("shared", home=home) as mesh:
        memory_id = mesh.learn("The walrus sleeps at dusk")["memory_id"]
        found = server.ask("POST", "/recall", {"query": "walrus"}).json()["results"]
        assert [row["id"] for row in found] == [memory_id]
        mesh.forget(memory_id)
    assert server.ask("POST", "/recall", {"query": "walrus"}).json()["results"] == []


def test_a_namespace_may_go_and_come_back_under_a_running_server(server, home, without_model):
    """Deleted by another process, and made anew."""
    from mesh.namespaces import delete
    from mesh.settings import Settings

    server.ask("POST", "/learn", {"content": "The walrus is old", "namespace": "zoo"})
    delete(Settings.from_environment(), "zoo")
    assert server.ask("GET", "/inspect?namespace=zoo").status == 404
    assert server.ask("POST", "/learn", {"content": "The ocelot is new", "namespace": "zoo"}).status == 200
    rows = server.ask("GET", "/inspect?namespace=zoo").json()["memories"]
    assert [row["content"] for row in rows] == ["The ocelot is new"]


# --- ending ----------------------------------------------------------------------------------------------------------


def learning(server: Running) -> tuple[threading.Thread, list[int]]:
    """A request that waits for the lock; its status comes into the list."""
    statuses: list[int] = []

    def learn() -> None:
        statuses.append(server.ask("POST", "/learn", {"content": "The last one"}).status)

    thread = threading.Thread(target=learn)
    thread.start()
    return thread, statuses


def waits_for_the_lock(server: Running, home) -> bool:
    """Whether the process has the lock's file open: it is about to wait for it, or does."""
    folder = f"/proc/{server.process.pid}/fd"
    return any(os.path.realpath(f"{folder}/{one}").endswith("shared.lock") for one in os.listdir(folder))


needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="this system does not list open files")


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_that_runs_when_the_signal_comes_is_answered(server, home, without_model, number):
    """New connections are refused meanwhile; exit 0, and what was acknowledged is there."""
    server.ask("POST", "/learn", {"content": "The first one"})
    with locked(home):
        thread, statuses = learning(server)
        until(lambda: waits_for_the_lock(server, home))
        server.process.send_signal(number)
        until(lambda: refused(server.port))
        assert server.process.poll() is None
    thread.join(30)
    assert statuses == [200]
    assert server.process.wait(30) == 0
    with Mesh("shared", home=home) as mesh:
        assert mesh.count() == 2


def refused(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@needs_proc
def test_a_second_signal_ends_at_once(server, home, without_model):
    """Whatever runs."""
    server.ask("POST", "/learn", {"content": "The first one"})
    with locked(home):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        connection.request("POST", "/learn", json.dumps({"content": "The last one"}), JSON)
        until(lambda: waits_for_the_lock(server, home))
        server.process.send_signal(signal.SIGTERM)
        until(lambda: refused(server.port))
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == -signal.SIGTERM
        connection.close()


def test_a_signal_that_comes_before_it_is_ready_ends_it_as_well(mesh_http):
    """Its sockets listen before the rest is loaded; exit 0."""
    for number in (signal.SIGTERM, signal.SIGINT):
        assert mesh_http().stop(number) == 0


def test_connections_that_are_only_open_do_not_keep_it_from_ending(server):
    """Nor one that has sent half a request."""
    idle = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    idle.request("GET", "/health")
    idle.getresponse().read()
    with socket.create_connection(("127.0.0.1", server.port)) as half:
        half.sendall(b"POST /learn HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        assert server.stop() == 0
    idle.close()


# --- events ----------------------------------------------------------------------------------------------------------


class Reader:
    """A client of `/events`."""

    def __init__(self, server: Running, path: str = "/events", **headers: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        self.connection.request("GET", path, headers=headers)
        self.answer = self.connection.getresponse()
        if self.answer.status == 200:
            self.block()  # says when to try again

    def block(self) -> dict[str, str]:
        """The next block of lines, `name: value` each; empty at the end of the stream."""
        lines = []
        while (line := self.answer.readline().decode()) not in ("\n", ""):
            lines.append(line.rstrip("\n").partition(": ")[::2])
        return dict(lines)

    def event(self) -> dict:
        block = self.block()
        assert list(block) == ["event", "id", "data"], block
        data = json.loads(block["data"])
        assert (data["kind"], str(data["sequence"])) == (block["event"], block["id"])
        return data


def test_changes_are_told_as_they_happen(server, home, without_model):
    """Through the server, through files, with ids to go on from."""
    (home / "shared").mkdir()
    reader = Reader(server, "/events?namespace=shared")
    assert reader.answer.headers["Content-Type"].startswith("text/event-stream")
    memory_id = server.ask("POST", "/learn", {"content": "The walrus is old"}).json()["result"]["memory_id"]
    added = reader.event()
    assert (added["kind"], added["namespace"], added["id"]) == ("added", "shared", memory_id)
    server.ask("POST", "/update", {"memory_id": memory_id, "content": "The walrus is young"})
    assert reader.event()["kind"] == "changed"
    server.ask("POST", "/forget", {"memory_id": memory_id})
    assert reader.event()["kind"] == "removed"
    reader.connection.close()
    again = Reader(server, "/events?namespace=shared", **{"Last-Event-ID": str(added["sequence"])})
    assert [again.event()["kind"] for _ in range(2)] == ["changed", "removed"]


def test_streams_tell_only_of_the_namespace_that_was_asked_for(server, home, without_model):
    """Without one, of all."""
    for name in ("shared", "other"):
        (home / name).mkdir()
    one, every = Reader(server, "/events?namespace=shared"), Reader(server)
    server.ask("POST", "/learn", {"content": "Elsewhere", "namespace": "other"})
    server.ask("POST", "/learn", {"content": "Here"})
    assert one.event()["namespace"] == "shared"
    assert [every.event()["namespace"] for _ in range(2)] == ["other", "shared"]


def test_streams_end_when_the_server_does(server):
    """Their end is one, not a broken connection."""
    readers = [Reader(server) for _ in range(3)]
    server.process.send_signal(signal.SIGTERM)
    assert [reader.answer.read() for reader in readers] == [b""] * 3
    assert server.process.wait(30) == 0


def test_too_many_streams_are_refused_and_one_that_ends_makes_room(server):
    """The rest of the server is not short of threads for it."""
    readers = [Reader(server) for _ in range(MOST_STREAMS)]
    extra = Reader(server)
    assert extra.answer.status == 503 and extra.answer.headers["Retry-After"]
    assert json.loads(extra.answer.read())["error"]["code"] == "too_many_streams"
    assert server.ask("GET", "/health").status == 200
    readers[0].connection.close()
    readers[0].answer.close()
    until(lambda: Reader(server).answer.status == 200)


def test_a_client_elsewhere_hears_nothing_of_what_is_local_only(home, without_model):
    """Not even that something happened."""
    (home / "shared").mkdir()
    streams = Streams(home)
    told = [streams.open(None, include_local=local, after=None, gone=bool) for local in (True, False)]
    with Mesh("shared", home=home) as mesh:
        secret = mesh.learn("The canary is yellow", local_only=True)["memory_id"]
        public = mesh.learn("The parrot is green")["memory_id"]
    blocks = [next(block for block in stream if b"event:" in block) for stream in told]
    assert secret.encode() in blocks[0]
    assert public.encode() in blocks[1]
    streams.close()


def test_a_quiet_stream_says_that_it_is_there(home, monkeypatch):
    """Or a proxy between would end it."""
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.0)
    monkeypatch.setattr(events, "LOOK_SECONDS", 0.01)
    streams = Streams(home)
    stream = streams.open(None, include_local=True, after=None, gone=bool)
    blocks = iter(stream)
    assert next(blocks).startswith(b"retry: ")
    assert next(blocks) == next(blocks) == b": still here\n\n"
    streams.close()
    assert list(blocks) == []
    with pytest.raises(Refused):
        streams.open(None, include_local=True, after=None, gone=bool)


@pytest.mark.parametrize("after", ["x", "-1", "1" * 30, "1.5", "١"])
def test_a_last_event_id_that_is_none_is_refused(app, after):
    """It was never given out."""
    answer = app.ask("GET", "/events", headers={"Last-Event-ID": after})
    assert (answer.status, answer.error["message"].partition(":")[0]) == (400, "Last-Event-ID")


def test_an_unknown_namespace_may_be_listened_to(app):
    """It may come into being while one listens; one that cannot be is refused."""
    assert app.ask("HEAD", "/events?namespace=tomorrow").status == 200
    assert app.get("/events?namespace=..").status == 400
