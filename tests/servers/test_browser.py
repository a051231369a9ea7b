"""What a web page can do to `mesh-http`, tried in a real Chromium: nothing."""

from __future__ import annotations

import functools
import html
import http.server
import json
import re
import shutil
import subprocess
import threading

import pytest

from mesh import Mesh

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# Each attack tells what the page saw of it. A simple request needs no leave to be sent, only to be read.
PAGE = """<!doctype html><title>evil</title><pre id="seen">running</pre><script>
const target = "TARGET";
const tries = {
  read: () => fetch(target + "/inspect").then(r => r.text()),
  recall: () => fetch(target + "/recall", {method: "POST", headers: {"Content-Type": "application/json"},
                                            body: '{"query": "canary"}'}).then(r => r.text()),
  plain: () => fetch(target + "/learn", {method: "POST", headers: {"Content-Type": "text/plain"},
                                          body: '{"content": "written by a page"}'}).then(r => r.text()),
  blind: () => fetch(target + "/learn", {method: "POST", mode: "no-cors", body: '{"content": "written by a page"}'})
                .then(r => r.type),
  beacon: () => Promise.resolve(navigator.sendBeacon(target + "/learn", '{"content": "written by a page"}')),
  events: () => new Promise(done => { const s = new EventSource(target + "/events"); s.onopen = () => done("open");
                                      s.onerror = () => { s.close(); done("refused"); }; }),
  form: () => new Promise(done => {
    const frame = document.createElement("iframe"); frame.name = "f"; frame.onload = () => done("sent");
    document.body.append(frame);
    const form = document.createElement("form");
    Object.assign(form, {method: "post", action: target + "/learn", target: "f", enctype: "text/plain"});
    const field = document.createElement("input");
    Object.assign(field, {name: '{"content": "written by a page", "x": "', value: '"}'});
    form.append(field); document.body.append(form); form.submit();
  }),
};
const seen = {};
(async () => {
  for (const [name, attempt] of Object.entries(tries)) {
    try { seen[name] = String(await attempt()); } catch (error) { seen[name] = "refused"; }
  }
  document.getElementById("seen").textContent = "done " + JSON.stringify(seen);
})();
</script>"""

pytestmark = [
    pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium here"),
    pytest.mark.usefixtures("without_model"),
]


@pytest.fixture
def page(tmp_path):
    """Serve the attacking page against a target from an origin of its own: a port."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    folder = tmp_path / "site"
    folder.mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()

        def attacking(target: str) -> int:
            (folder / "index.html").write_text(PAGE.replace("TARGET", target))
            return site.server_port

        yield attacking
        site.shutdown()


def shown(url: str, profile, *options: str) -> str:
    """The document that Chromium has in the end."""
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={profile}", "--timeout=20000", "--virtual-time-budget=15000", *options, "--dump-dom", url,
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False).stdout


def opened(url: str, profile, *options: str) -> dict[str, str]:
    """What the attacking page says once it is done."""
    document = shown(url, profile, *options)
    found = re.search(r'<pre id="seen">done (.*?)</pre>', document, re.DOTALL)
    assert found, f"the page did not finish: {document[:500]}"
    return dict(json.loads(html.unescape(found[1])))


def texts(home) -> list[str]:
    with Mesh("shared", home=home) as mesh:
        return [row["content"] for row in mesh.inspect(limit=None)]


def test_a_page_of_another_origin_reads_nothing_and_writes_nothing(mesh_http, page, home, tmp_path):
    """Neither by requests that ask for leave nor by those that need none."""
    Mesh("shared", home=home).learn("the canary is yellow")
    server = mesh_http()
    seen = opened(f"http://127.0.0.1:{page(f'http://127.0.0.1:{server.port}')}/", tmp_path / "profile")
    assert "yellow" not in json.dumps(seen)
    assert seen["read"] == seen["recall"] == seen["plain"] == seen["events"] == "refused"
    assert texts(home) == ["the canary is yellow"]


def test_a_name_that_was_rebound_to_this_machine_is_refused(mesh_http, page, home, tmp_path):
    """DNS rebinding: the page's own host name, now resolving to 127.0.0.1, with the server's port."""
    Mesh("shared", home=home).learn("the canary is yellow")
    server = mesh_http()
    port = page(f"http://evil.test:{server.port}")
    rule = "--host-resolver-rules=MAP evil.test 127.0.0.1"
    seen = opened(f"http://evil.test:{port}/", tmp_path / "profile", rule)
    assert "yellow" not in json.dumps(seen)
    own_origin = shown(f"http://evil.test:{server.port}/inspect", tmp_path / "other", rule)
    assert "--allow-host" in own_origin  # the refusal, with its remedy
    assert "yellow" not in own_origin
    assert "yellow" in shown(f"http://127.0.0.1:{server.port}/inspect", tmp_path / "third")
    assert texts(home) == ["the canary is yellow"]


def test_an_own_page_would_be_allowed(mesh_http, home):
    """The guard looks at where a request comes from, not at the browser: the server's own origin passes."""
    import http.client

    server = mesh_http()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", "/inspect", headers={"Origin": f"http://127.0.0.1:{server.port}"})
    assert connection.getresponse().status == 200
