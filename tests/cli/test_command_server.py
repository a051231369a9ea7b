"""The command server: whom it works for, whom it does not, and what becomes of a command when something dies."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mesh_cli
import pytest
from mesh_cli import background, command_server, server_process, wire
from warmed import MESH, THIN, NotServed, begun, done, environment, is_gone, serving, split, wait_until, worker_of

import mesh

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="there is a command server on Linux only"),
    pytest.mark.usefixtures("without_model"),
    pytest.mark.cold("has servers of its own"),
]
QUIET = {"MESH_NAMESPACE": "shared"}


@pytest.fixture
def lit(home, write) -> Path:
    """A home with a memory."""
    write("lamp.md", "---\nid: aaaa1111bbbb2222\n---\nThe lamp is lit\n")
    return home


@pytest.fixture
def server(lit) -> int:
    """The command server of that home."""
    with serving(lit) as pid:
        yield pid


LISTED = "aaaa1111bbbb2222\tThe lamp is lit\n"


# --- who is asked --------------------------------------------------------------------------------------------------


def test_a_command_that_is_handed_over_loads_next_to_nothing(server):
    """Not even socket, json or typing: of what Python does not load itself, this package and modules in C."""
    bare = subprocess.run([*THIN, "-c", "pass"], capture_output=True, env=environment(), check=True)
    ran = subprocess.run([*THIN, MESH, "list"], capture_output=True, env=environment(), check=True)
    script = split(subprocess.run([*THIN, "-c", "import re"], capture_output=True, check=True).stderr)[1]  # pip's
    loaded = split(ran.stderr)[1] - split(bare.stderr)[1] - script
    ours = {"mesh_cli", "mesh_cli.main", "mesh_cli.thin", "mesh_cli.wire"}
    assert loaded == ours | {"_socket", "_signal", "errno"} - script
    assert ran.stdout.decode() == LISTED


def test_without_a_server_the_command_runs_as_ever(lit):
    """No socket; and nothing is started, nor made."""
    assert done("list", warm=False).out == LISTED
    assert server_process.status(lit) is None
    assert not (lit / ".locks" / "_serve.lock").exists()


def test_the_environment_can_forbid_it(server):
    """MESH_COMMAND_SERVER=0."""
    assert done("list", warm=False, env={"MESH_COMMAND_SERVER": "0"}).out == LISTED


def test_a_socket_that_a_dead_server_left_is_passed_over(lit):
    """Silently, and the next server takes its place."""
    (lit / ".locks").mkdir()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(lit / ".locks" / wire.SOCKET))
    ran = done("list", warm=False)
    assert (ran.out, ran.err) == (LISTED, "")
    with serving(lit):
        assert done("list", warm=True).out == LISTED


def test_a_server_that_does_not_answer_is_passed_over(server):
    """It is stopped, as on a suspended machine: the command waits a second, then runs as ever, once."""
    os.kill(server, signal.SIGSTOP)
    try:
        assert done("learn", "Once", warm=False).code == 0
    finally:
        os.kill(server, signal.SIGCONT)
    assert done("list", warm=True).out.count("Once") == 1


def test_another_python_is_not_asked(lit):
    """One that was started with other options may not do the same."""
    with serving(lit, "-O"):
        assert done("list", warm=False).out == LISTED


@pytest.mark.parametrize("variable", ["PYTHONHASHSEED", "OPENBLAS_NUM_THREADS", "LD_LIBRARY_PATH"])
def test_what_is_read_at_start_must_be_the_same(server, variable):
    """A worker cannot make up for it."""
    assert done("list", warm=False, env={variable: "7"}).out == LISTED


def test_a_socket_of_another_user_is_not_trusted(lit, tmp_path):
    """Whoever else listens there is told nothing."""
    if os.geteuid():
        pytest.skip("only root can become another user")
    (lit / ".locks").mkdir()
    for folder in (lit, lit / ".locks", *lit.parents):
        if folder != Path("/tmp") and folder.is_relative_to("/tmp"):
            folder.chmod(0o777)
    listen = f"""
import os, socket
os.setgid(65534); os.setuid(65534)
with socket.socket(socket.AF_UNIX) as server:
    server.bind({str(lit / ".locks" / wire.SOCKET)!r})
    server.listen()
    print("listening", flush=True)
    print(len(server.accept()[0].recv(100)))
"""
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", listen], stdout=subprocess.PIPE) as stranger:
        assert stranger.stdout and stranger.stdout.readline() == b"listening\n"
        assert done("list", warm=False).out == LISTED
        assert stranger.stdout.readline() == b"0\n"


def test_a_socket_of_somebody_in_a_sandbox_is_not_trusted(lit):
    """It would get the environment and the terminal of a process that is in none."""
    if not shutil.which("setpriv"):
        pytest.skip("setpriv is not installed here")
    (lit / ".locks").mkdir()
    listen = f"""
import socket
with socket.socket(socket.AF_UNIX) as server:
    server.bind({str(lit / ".locks" / wire.SOCKET)!r})
    server.listen()
    print("listening", flush=True)
    print(len(server.accept()[0].recv(100)))
"""
    confined = ["setpriv", "--no-new-privs", sys.executable, "-I", "-S", "-c", listen]
    with subprocess.Popen(confined, stdout=subprocess.PIPE) as stranger:
        assert stranger.stdout and stranger.stdout.readline() == b"listening\n"
        assert done("list", warm=False).out == LISTED
        assert stranger.stdout.readline() == b"0\n"


def test_another_user_is_not_served(lit, server):
    """Even one who reaches the socket gets no greeting."""
    if os.geteuid():
        pytest.skip("only root can become another user")
    folder = os.open(lit / ".locks", os.O_PATH)
    connect = f"""
import os, socket
os.fchdir({folder})
os.setgid(65534); os.setuid(65534)
with socket.socket(socket.AF_UNIX) as client:
    client.connect({wire.SOCKET!r})
    print(client.recv(100))
"""
    (lit / ".locks" / wire.SOCKET).chmod(0o666)
    (lit / ".locks").chmod(0o755)
    ran = subprocess.run([sys.executable, "-I", "-S", "-c", connect], pass_fds=[folder], capture_output=True)
    assert ran.stdout == b"b''\n", ran.stderr
    assert done("list", warm=True).out == LISTED


@pytest.mark.parametrize("prefix", [("setpriv", "--no-new-privs"), ("prlimit", "--as=9000000000")], ids=" ".join)
def test_a_command_with_fewer_rights_is_not_handed_over(server, prefix):
    """A worker would have more: what a sandbox forbids must stay forbidden."""
    if not shutil.which(prefix[0]):
        pytest.skip(f"{prefix[0]} is not installed here")
    assert done("list", warm=False, prefix=prefix).out == LISTED


def test_where_nobody_can_gain_rights_there_is_no_server(lit):
    """There Landlock may have taken some from the command, and not from the server: it cannot be seen."""
    if not shutil.which("setpriv"):
        pytest.skip("setpriv is not installed here")
    with pytest.raises(NotServed), serving(lit, prefix=("setpriv", "--no-new-privs")):
        pass
    assert "no_new_privs" in (lit / ".cache" / "_serve.log").read_text()


def test_who_inherits_a_connection_is_not_served(lit, server):
    """Its rights are those of a process that has ended, and whose id may be another's by now."""
    leave = f"""
import os, socket
with socket.socket(socket.AF_UNIX) as client, socket.socket(fileno=0) as heir:
    client.connect({str(lit / ".locks" / wire.SOCKET)!r})
    socket.send_fds(heir, [b"c"], [client.fileno()])
"""
    mine, its = socket.socketpair()
    os.kill(server, signal.SIGSTOP)
    try:
        subprocess.run([sys.executable, "-I", "-S", "-c", leave], stdin=its, check=True)
    finally:
        os.kill(server, signal.SIGCONT)
    with mine, its, socket.socket(fileno=socket.recv_fds(mine, 1, 1)[1][0]) as client:
        client.settimeout(20)
        assert client.recv(100) == b""


def test_a_link_in_the_place_of_the_lock_is_not_followed(lit, tmp_path):
    """Whoever serves writes into it."""
    (tmp_path / "precious").write_text("kept")
    (lit / ".locks").mkdir()
    (lit / ".locks" / "_serve.lock").symlink_to(tmp_path / "precious")
    with pytest.raises(NotServed), serving(lit):
        pass
    assert (tmp_path / "precious").read_text() == "kept"
    assert done("list", warm=False).out == LISTED


# --- as whom it works ------------------------------------------------------------------------------------------------


def test_a_worker_is_as_its_client_is(server, tmp_path):
    """Folder, environment, mask of modes, limits, priority: those of the command, not of the server."""

    def change() -> None:
        os.umask(0o027)
        os.nice(3)
        resource.setrlimit(resource.RLIMIT_NOFILE, (77, 99))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    with begun("learn", "-", env={"CALLER": "x"}, cwd=tmp_path, preexec_fn=change) as client:
        worker = Path(f"/proc/{worker_of(server, client.pid)}")
        wait_until(lambda: "Umask:\t0027\n" in (worker / "status").read_text())  # the last thing that it takes over
        limits = (worker / "limits").read_text()
        assert os.readlink(worker / "cwd") == str(tmp_path)
        assert limits == Path(f"/proc/{client.pid}/limits").read_text()
        assert os.getpriority(os.PRIO_PROCESS, int(worker.name)) == os.getpriority(os.PRIO_PROCESS, client.pid)
        client.communicate(b"Said at last")
    assert "Said at last" in done("list", warm=True).out


def test_a_namespace_may_have_the_name_of_what_is_here(server):
    """Its lock is not the one of the server."""
    for name in ("serve", "serve.sock"):
        assert done("learn", "Something", "-N", name, warm=True).code == 0


def test_the_environment_of_the_command_counts(server, home):
    """Its namespace and its author, not those of the server."""
    ran = done("learn", "Of mine", warm=True, env={"MESH_NAMESPACE": "mine", "MESH_AGENT_ID": "mina"})
    assert ran.code == 0
    assert [path for path in (home / "mine").glob("*.md") if "agent: mina" in path.read_text()]


def test_a_request_may_be_long(server):
    """Longer than what arrives at once: no part of an argument or of the environment is lost."""
    env = {f"PADDING_{number}": "x" * 100_000 for number in range(10)} | {"MESH_NAMESPACE": "far-behind"}
    assert done("learn", "word " * 10_000, "--json", warm=True, env=env).code == 0
    assert "word word" in done("list", "-N", "far-behind", warm=True).out


def test_another_home_has_its_own_server_or_none(server, tmp_path):
    """What is asked of one home is never answered from another."""
    ran = done("list", warm=False, env={"MESH_HOME": str(tmp_path / "other")})
    assert "lamp" not in ran.out


def test_a_folder_that_is_gone_is_no_obstacle(server, tmp_path):
    """A shell may stand in a folder that somebody deleted; it is the same warm and cold."""
    found = []
    for warm in (True, False):
        (tmp_path / "gone").mkdir()
        env = environment(None if warm else {"MESH_COMMAND_SERVER": "0"})
        leave = f'cd "{tmp_path}/gone" && rmdir "$PWD" && exec "{MESH}" list'
        ran = subprocess.run(["sh", "-c", leave], capture_output=True, env=env)
        found.append((ran.returncode, ran.stdout, ran.stderr))
    assert found[0] == found[1] == (0, LISTED.encode(), b"")


def test_a_home_with_a_long_path_is_served(tmp_path, monkeypatch):
    """Longer than the address of a socket may be."""
    home = tmp_path / ("a-long-name" * 10)
    (home / "shared").mkdir(mode=0o700, parents=True)
    (home / "shared" / "lamp.md").write_text("---\nid: aaaa1111bbbb2222\n---\nThe lamp is lit\n")
    monkeypatch.setenv("MESH_HOME", str(home))
    with serving(home):
        assert done("list", warm=True).out == LISTED


def test_files_that_only_the_command_has_open_are_the_same(server):
    """`mesh import <(...)` names one by its descriptor: that command stays in its own process."""
    line = '{"id": "dddd9999dddd9999", "content": "Piped"}'
    found = []
    for wanted in ("1", "0"):
        given = environment({"MESH_COMMAND_SERVER": wanted})
        ran = subprocess.run(["bash", "-c", f"'{MESH}' import <(echo '{line}')"], capture_output=True, env=given)
        found.append((ran.returncode, ran.stdout, ran.stderr))
    assert found[0] == found[1]


def test_many_commands_at_once_are_each_answered(server, run):
    """Twenty, each with what it asked for; where there is too much to do, one may do its work itself."""

    def learn(number: int) -> str:
        return run("learn", f"Number {number} of twenty", "--title", f"n{number}").out

    with ThreadPoolExecutor(20) as pool:
        stored = list(pool.map(learn, range(20)))
    assert all("\tstored" in line for line in stored)
    titles = {line.partition("\t")[2] for line in done("list", "-n", "50", warm=True).out.splitlines()}
    assert titles >= {f"n{number}" for number in range(20)}


# --- signals and deaths ----------------------------------------------------------------------------------------------


def test_an_interrupted_command_says_so(server):
    """Ctrl-C reaches the worker; message and exit code are those that it has cold."""
    with begun("learn", "-") as client:
        worker_of(server, client.pid)
        client.send_signal(signal.SIGINT)
        assert client.wait(20) == 130
        assert client.stderr.read() == b"mesh: interrupted\n"


def test_a_stopped_command_stops_its_worker_and_goes_on_with_it(server):
    """Ctrl-Z and fg."""
    with begun("learn", "-", process_group=0) as client:
        worker = worker_of(server, client.pid)
        client.send_signal(signal.SIGTSTP)
        for pid in (client.pid, worker):
            wait_until(lambda pid=pid: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
        client.send_signal(signal.SIGCONT)
        out, _ = client.communicate(b"After a rest", timeout=20)
        assert client.returncode == 0 and b"\tstored\t" in out


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGHUP])
def test_the_worker_of_a_killed_command_ends(server, number):
    """And the command ends by the signal, as it does cold."""
    with begun("learn", "-") as client:
        worker = worker_of(server, client.pid)
        client.send_signal(number)
        assert client.wait(20) == -number
        wait_until(lambda: is_gone(worker))
    assert done("list", warm=True).out == LISTED


def test_a_command_whose_worker_is_killed_is_not_done_twice(server):
    """It says so, and ends by the same signal."""
    with begun("learn", "-") as client:
        os.kill(worker_of(server, client.pid), signal.SIGKILL)
        assert client.wait(20) == -signal.SIGKILL
        assert client.stderr.read().startswith(b"mesh: the process that worked on this was ended by signal 9; ")
    assert done("list", warm=True).out == LISTED


def test_a_lost_command_is_not_done_again_where_nobody_reads_what_it_says(server):
    """It cannot say that it is lost, and must still not begin anew."""
    with begun("learn", "-") as client:
        client.stderr.close()
        os.kill(worker_of(server, client.pid), signal.SIGKILL)
        assert client.wait(20) == -signal.SIGKILL
    assert done("list", warm=True).out == LISTED


def test_a_command_outlives_its_server(lit):
    """The server is killed: the worker finishes, the next command runs cold, and another server can start."""
    with serving(lit) as server:
        with begun("learn", "-") as client:
            worker_of(server, client.pid)
            os.kill(server, signal.SIGKILL)
            wait_until(lambda: server_process.status(lit) is None)
            assert done("list", warm=False).out == LISTED
            out, _ = client.communicate(b"Said at last", timeout=20)
            assert client.returncode == 0 and b"\tstored\t" in out
        with serving(lit):
            assert "Said at last" in done("list", warm=True).out


# --- its life ------------------------------------------------------------------------------------------------------


def test_there_is_one_server_a_home(lit, server):
    """Another process that tries to serve as well ends."""
    assert server_process.begin(lit).wait(30) != 0
    assert (server_process.status(lit) or pytest.fail()).pid == server
    assert done("list", warm=True).out == LISTED


def test_a_stopped_server_finishes_what_it_does(lit, server):
    """It takes nothing new, another one may serve, and it is gone after the last command."""
    with begun("learn", "-") as client:
        worker_of(server, client.pid)
        os.kill(server, signal.SIGTERM)
        wait_until(lambda: server_process.status(lit) is None)
        assert done("list", warm=False).out == LISTED
        with serving(lit):
            assert done("list", warm=True).out == LISTED
            assert not is_gone(server)
            client.communicate(b"Said at last", timeout=20)
            assert client.returncode == 0
            wait_until(lambda: is_gone(server))
            assert "Said at last" in done("list", warm=True).out
    assert not (lit / ".locks" / wire.SOCKET).exists()


def test_a_server_ends_with_the_process_that_started_it(lit):
    """Even if that is killed: nobody would be there to stop it."""
    assert done("watch", "--background", warm=False).code == 0
    running = server_process.status(lit)
    os.kill(background.status(lit)["pid"], signal.SIGKILL)
    assert running
    wait_until(lambda: is_gone(running.pid))
    assert not (lit / ".locks" / wire.SOCKET).exists()


def test_a_server_with_too_much_to_do_declines(lit, server):
    """Who comes then does not wait."""
    with contextlib.ExitStack() as stack:
        for _ in range(command_server.MOST_WORKERS):
            client = stack.enter_context(contextlib.closing(wire.connected(str(lit / ".locks"))))
            assert client.recv(1)
        with contextlib.closing(wire.connected(str(lit / ".locks"))) as one_more:
            assert one_more.recv(1) == b""
        assert done("list", warm=False).out == LISTED
    wait_until(lambda: "lit" in done("list", warm=True).out)


@pytest.mark.model
def test_an_idle_server_lets_go_of_the_model(lit, monkeypatch):
    """Its memory falls, each time; the next command finds the same as ever, and after it all is warm again."""
    monkeypatch.delenv("MESH_MODEL_PATH")
    log = lit / ".cache" / "_serve.log"

    def found() -> list[tuple[str, float]]:
        rows = json.loads(done("recall", "who turned on the light?", "--json", warm=True).out)["results"]
        return [(row["id"], row["similarity"]) for row in rows]

    with serving(lit, cool_after_seconds=1) as server:
        warm, first = private_memory_of(server), found()
        assert [id for id, _ in first] == ["aaaa1111bbbb2222"]
        for times in (1, 2):
            wait_until(lambda times=times: log.read_text().count("let go of the model") == times, 60)
            assert private_memory_of(server) < warm - 30_000_000
            assert found() == first
            wait_until(lambda times=times: log.read_text().count("warm again") == times, 60)


def private_memory_of(process: int) -> int:
    """Bytes that are no file's."""
    status = Path(f"/proc/{process}/status").read_text()
    return 1024 * int(status.partition("RssAnon:")[2].split()[0])


def test_a_server_whose_socket_was_removed_ends(lit, server):
    """Nobody would find it: `rm -rf .locks`, or a home that was moved."""
    shutil.rmtree(lit / ".locks")
    (lit / ".locks").mkdir()
    os.kill(server, signal.SIGCHLD)  # it looks each minute, and whenever something happens
    wait_until(lambda: is_gone(server))


def test_a_changed_program_is_not_served_by_the_old_one(lit, tmp_path):
    """An upgrade, or an edit: the command runs the new code, and the old server ends."""
    site = tmp_path / "site"
    for package, name in ((mesh, "mesh"), (mesh_cli, "mesh_cli")):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(Path(str(package.__file__)).parent, site / name, ignore=ignored)
    env = {"PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}
    run = [*THIN, "-c", "from mesh_cli.main import main; main()", "list"]

    def listed() -> tuple[str, bool]:
        ran = subprocess.run(run, capture_output=True, env=environment(env), check=True)
        return ran.stdout.decode(), "typer" in split(ran.stderr)[1]

    with serving(lit, env=env) as server:
        assert listed() == (LISTED, False)
        (site / "mesh_cli" / "looking.py").write_text((site / "mesh_cli" / "looking.py").read_text() + "\n# edited\n")
        assert listed() == (LISTED, True)
        wait_until(lambda: is_gone(server))


def test_the_cache_may_go_away_while_it_serves(lit, server, tmp_path):
    """Workers rehearse there; the next one makes anew what it needs."""

    def is_there_again() -> bool:
        assert done("list", warm=True).out == LISTED
        time.sleep(1)  # while commands come nobody rehearses
        return (lit / ".cache" / "_rehearsal" / "shared").exists()

    for number in range(2):
        (lit / ".cache").rename(tmp_path / f"gone-{number}")
        wait_until(is_there_again, 60)


def test_folder_and_socket_are_for_this_user_alone(lit, server):
    """0700 and 0600."""
    assert (lit / ".locks").stat().st_mode & 0o777 == 0o700
    assert (lit / ".locks" / wire.SOCKET).stat().st_mode & 0o777 == 0o600


def test_a_user_who_wants_it_gets_it_started(lit, tmp_path):
    """MESH_AUTOWATCH=1: the first command runs as ever, and the next ones warm. No module is taken from where it is."""
    (tmp_path / "subprocess.py").write_text("open('was-run', 'w')")
    assert done("list", warm=False, env={"MESH_AUTOWATCH": "1"}, cwd=tmp_path).out == LISTED
    try:
        wait_until(lambda: server_process.status(lit), 60)
        wait_until(lambda: "ready" in done("watch", "--status", "--json", warm=False).out, 60)
        assert done("list", warm=True).out == LISTED
        assert not (tmp_path / "was-run").exists()
    finally:
        wait_until(lambda: done("watch", "--stop", warm=False).code == 0, 60)
    wait_until(lambda: server_process.status(lit) is None)
