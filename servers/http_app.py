"""The Flask application: routes from the tables, JSON in and out, every failure in the same form."""

from __future__ import annotations

import difflib
import tempfile
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.wsgi import wrap_file

from mesh.errors import InvalidInput, MeshError
from mesh.files import failures_reported

from . import strict_json
from .events import Streams
from .http_errors import CODES, Refused, body_of, bug, status_of
from .http_guard import LOCAL, Guard
from .http_routes import ACTIONS, Call
from .meshes import Meshes
from .openapi import document
from .requests import Route, from_query
from .route_table import ROUTES


def create_app(
    meshes: Meshes, *, token: str = "", hosts: Iterable[str] = (), streams: Streams | None = None
) -> Application:
    """The application over some namespaces. `token`: what clients must know; `hosts`: further names of the server."""
    app = Application("mesh_servers", static_folder=None, template_folder=None)
    app.url_map.merge_slashes = False  # or `//learn` would be redirected
    views: dict[str, Callable[..., Response]] = {
        "openapi": partial(_document, strict_json.write(document(with_token=bool(token)))),
        "events": partial(_events, streams or Streams(meshes.settings.home)),
        "export": partial(_export, meshes),
    }
    for route in ROUTES:
        act = views.get(route.name) or partial(_act, meshes, ACTIONS[route.name])
        app.add_url_rule(_rule(route), route.name, partial(_view, route, act), methods=[route.method])
    app.register_error_handler(Exception, _failed)
    app.wsgi_app = Guard(app.wsgi_app, hosts=hosts, token=token)  # type: ignore[method-assign]
    return app


class Application(Flask):
    def make_default_options_response(self) -> Response:
        """What OPTIONS is answered: which methods there are, and nothing that lets another origin do anything."""
        answer = Response()
        del answer.headers["Content-Type"]  # there is nothing to be of a type
        adapter = self.create_url_adapter(request)
        answer.allow.update(adapter.allowed_methods() if adapter else ())
        return answer


def _rule(route: Route) -> str:
    return route.path.replace("{", "<").replace("}", ">")


def _view(route: Route, act: Callable[[dict[str, Any]], Response], **in_path: str) -> Response:
    given = _body() if route.method == "POST" else from_query(route, request.environ.get("QUERY_STRING", ""))
    if twice := in_path.keys() & given.keys():
        raise InvalidInput("it stands in the path already", place=min(twice), remedy="Leave it out of the query")
    return act(route.values(given | in_path))


def _body() -> dict[str, Any]:
    body = strict_json.read(request.get_data(cache=False))
    if not isinstance(body, dict):
        raise InvalidInput("it is not a JSON object", place="body", remedy='Send one, such as {"query": "..."}')
    return body


def _act(meshes: Meshes, act: Callable[[Call], dict[str, Any]], given: dict[str, Any]) -> Response:
    return _json(strict_json.write(act(Call(meshes, given, request.environ[LOCAL]))))


def _document(text: bytes, given: dict[str, Any]) -> Response:
    return _json(text)


def _export(meshes: Meshes, given: dict[str, Any]) -> Response:
    from mesh.portability.exporting import export, exported

    call = Call(meshes, given, request.environ[LOCAL])
    mesh = call.mesh()
    if not call.local:  # how many memories are local_only is no business of a client elsewhere
        return _json(strict_json.write(exported(mesh.workspace) | {"skipped_local_only": 0}))
    with ExitStack() as stack, failures_reported(tempfile.gettempdir()):
        file = stack.enter_context(tempfile.TemporaryFile())
        export(mesh.workspace, file, "json")
        size = file.tell()
        file.seek(0)
        stack.pop_all()  # from here on the response closes it
    answer = Response(wrap_file(request.environ, file), mimetype="application/json", direct_passthrough=True)
    answer.content_length = size
    answer.headers["Content-Disposition"] = f'attachment; filename="{mesh.namespace}.json"'
    return answer


def _events(streams: Streams, given: dict[str, Any]) -> Response:
    after = request.headers.get("Last-Event-ID", "")
    if after and not (after.isascii() and after.isdigit() and len(after) <= strict_json.MAX_DIGITS):
        raise InvalidInput("it is not a number of ours", place="Last-Event-ID", remedy="Send the last id received")
    if request.method == "HEAD":
        return Response(mimetype="text/event-stream")
    environ = request.environ
    stream = streams.open(
        None if given["namespace"] is None else [given["namespace"]],
        include_local=environ[LOCAL],
        after=int(after) if after else None,
        gone=environ.get("waitress.client_disconnected", bool),
    )
    return Response(stream, mimetype="text/event-stream")


def _json(data: bytes, status: int = 200) -> Response:
    return Response(data, status, mimetype="application/json")


# --- failures --------------------------------------------------------------------------------------------------------


def _failed(error: Exception) -> Response:
    refusal = error if isinstance(error, MeshError) else _refusal(error)
    answer = _json(body_of(refusal), status_of(refusal))
    if isinstance(refusal, Refused):
        answer.headers.update(refusal.headers)
    return answer


def _refusal(error: Exception) -> Refused:
    path = request.path[:80]
    if isinstance(error, NotFound):
        closest = difflib.get_close_matches(path, [route.path for route in ROUTES if route.path != "/"], n=1)
        return Refused(404, f"there is no route {path!r}", f"Did you mean {closest[0]}?" if closest else "See: GET /")
    if isinstance(error, MethodNotAllowed):
        allowed = sorted(error.valid_methods or ())
        remedy = f"Use {' or '.join(one for one in allowed if one not in {'HEAD', 'OPTIONS'})}"
        headers = {"Allow": ", ".join(allowed)}
        return Refused(405, f"{request.method[:20]} is not for {path}", remedy, headers=headers)
    if isinstance(error, HTTPException) and error.code in CODES and error.code < 500:
        return Refused(error.code, (error.description or error.name).rstrip("."), "Correct the request")
    return bug(error, f"{request.method} {request.url_rule or path}")
