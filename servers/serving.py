"""waitress, with its own errors as JSON, time for a refused client to read why, and an end that waits for the rest.

One thread looks after all connections, others run the application. The end has an order: no new connections, the
running requests finish, the connections close.
"""

from __future__ import annotations

import socket
import time
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, ThreadedTaskDispatcher

from .events import MOST_STREAMS
from .http_errors import Refused, body_of
from .http_guard import HEADERS, MAX_BODY_BYTES, Application

CLIENTS_AT_ONCE = 16
CONNECTIONS = 256
IDLE_SECONDS = 60
MOST_WAITING_BYTES = 1 << 20  # for a client that reads slowly; then who writes to it waits
LINGER_SECONDS = 2.0
MAX_HEADER_BYTES = 16 * 1024

_REFUSALS = {
    400: ("this is not a request of HTTP/1.1", "Correct it"),
    413: (f"the body has more than {MAX_BODY_BYTES:,} bytes", "Send less at once"),
    431: (f"the headers have more than {MAX_HEADER_BYTES:,} bytes", "Send less of them"),
    500: ("the server failed to answer", "See what it says on its standard error"),
}


class Server:
    """Serves an application on sockets that are bound already."""

    def __init__(self, application: Application, sockets: list[socket.socket]) -> None:
        self._map: dict[int, Any] = {}
        self._threads = ThreadedTaskDispatcher()
        self._threads.set_thread_count(CLIENTS_AT_ONCE + MOST_STREAMS)
        adjustments = Adjustments(
            sockets=sockets,
            connection_limit=CONNECTIONS,
            channel_timeout=IDLE_SECONDS,
            outbuf_high_watermark=MOST_WAITING_BYTES,
            max_request_header_size=MAX_HEADER_BYTES,
            max_request_body_size=MAX_BODY_BYTES + 1,
            clear_untrusted_proxy_headers=False,  # the guard looks at them
            log_socket_errors=False,
            expose_tracebacks=False,
            ident="",
        )
        self._listeners = [self._listener(application, adjustments, one) for one in sockets]
        self._stopping = False

    def _listener(self, application: Application, adjustments: Adjustments, bound: socket.socket) -> Listener:
        info = (bound.family, bound.type, bound.proto, bound.getsockname())
        return Listener(
            application,
            self._map,
            _sock=bound,
            dispatcher=self._threads,
            adj=adjustments,
            sockinfo=info,
            bind_socket=False,
        )

    def run(self) -> None:
        """Serve until `stop` is called."""
        while not self._stopping:
            self._look(1.0)

    def stop(self) -> None:
        """End `run`. For a signal's handler."""
        self._stopping = True
        self._listeners[0].pull_trigger()

    def finish(self, seconds: float) -> int:
        """Take no more connections, let running requests end, close; how many had not ended in time."""
        deadline = time.monotonic() + seconds
        self._look(0.0)  # what has arrived already is answered still
        for listener in self._listeners:
            wasyncore.dispatcher.close(listener)
        while self._busy() and time.monotonic() < deadline:
            self._look(0.05)
        cut_off = len(self._busy())
        self._threads.shutdown(timeout=0.2)
        wasyncore.close_all(self._map, ignore_all=True)
        return cut_off

    def _busy(self) -> list[Channel]:
        channels = [one for one in self._map.values() if isinstance(one, Channel)]
        return [one for one in channels if one.requests or one.total_outbufs_len]

    def _look(self, seconds: float) -> None:
        wasyncore.loop(timeout=seconds, use_poll=True, map=self._map, count=1)


class Parser(HTTPRequestParser):  # type: ignore[misc]
    path = ""  # of what cannot be parsed

    def parse_header(self, header_plus: bytes) -> None:
        try:
            super().parse_header(header_plus)
        except ValueError as error:  # a Content-Length of thousands of digits
            raise ParsingError("Content-Length is invalid") from error


class JsonErrorTask(ErrorTask):  # type: ignore[misc]
    """The answer to what is no request at all, in the form of every other error."""

    def execute(self) -> None:
        code = self.request.error.code
        code = code if code in _REFUSALS else 400
        refusal = Refused(code, *_REFUSALS[code])
        body = body_of(refusal)
        self.status = f"{code} {self.request.error.reason}"
        self.content_length = len(body)
        self.response_headers += [("Content-Type", "application/json"), *HEADERS]
        self.set_close_on_finish()
        self.write(body)


class Channel(HTTPChannel):  # type: ignore[misc]
    """One connection."""

    parser_class = Parser
    error_task_class = JsonErrorTask
    _refused = False
    _lingers_until = 0.0

    def send_continue(self) -> None:
        """Ask for the body, unless what was said of it is refused already, or there is none."""
        if not self.request.completed:
            super().send_continue()

    def service(self) -> None:
        self._refused = self.requests[0].error is not None
        super().service()

    def readable(self) -> bool:
        """Also while events are streamed: nothing else tells that their reader has left."""
        if self._lingers_until:
            return True
        streams = len(self.requests) == 1 and self.requests[0].path == "/events" and not self.close_when_flushed
        return streams or bool(super().readable())

    def handle_read(self) -> None:
        if not self._lingers_until:
            super().handle_read()
        elif not self.recv(65536) or time.monotonic() > self._lingers_until:
            self.handle_close()

    def handle_close(self) -> None:
        """Of a client whose request was refused, read on for a while: it may not look at the answer before."""
        if self._refused and self.connected and not self._lingers_until:
            self._lingers_until = time.monotonic() + LINGER_SECONDS
            self.will_close = self.close_when_flushed = False
            try:
                self.socket.shutdown(socket.SHUT_WR)
                return
            except OSError:
                self.logger.debug("the client has left already")
        super().handle_close()


class Listener(TcpWSGIServer):  # type: ignore[misc]
    channel_class = Channel

    def set_reuse_addr(self) -> None:
        """Nothing: its socket is bound already, and on Windows this would let another program take the port."""
