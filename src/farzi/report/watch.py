"""A page of a running job, served on this machine alone."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from farzi.errors import FarziError
from farzi.report.live import Live

HOST = "127.0.0.1"


class Watch(ThreadingHTTPServer):
    """Serves a `Live` run: `serve_forever` until it is interrupted.

    Args:
        live: the run.
        port: of the page; 0 for one that is free.

    Raises:
        FarziError: another program has the port.
    """

    daemon_threads = True

    def __init__(self, live: Live, port: int = 0) -> None:
        self.live = live
        try:
            super().__init__((HOST, port), _Answer)
        except (OSError, OverflowError) as error:
            raise FarziError(
                f"port {port} cannot be used ({error}); --port 0 takes one that is free"
            ) from None

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{HOST}:{self.server_address[1]}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that has gone is no error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """The page, or what is new."""
        server = self.server
        assert isinstance(server, Watch)
        here = {f"{host}:{server.server_address[1]}" for host in (HOST, "localhost")}
        if self.headers.get("Host") not in here:  # another site's name for this machine
            self.send_error(403)
        elif self.path == "/":
            self._send("text/html; charset=utf-8", server.live.page())
        elif self.path == "/live":
            self._send("application/json", json.dumps(server.live.state()))
        else:
            self.send_error(404)

    def _send(self, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(200)
        for name, value in (
            ("Content-Type", kind),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the terminal is the user's."""
