"""A web server on this machine that serves pictures as the web does: some slowly, some not at all."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SLOW_SECONDS = 6.0
PAGE = b"<!doctype html><title>Not here any more</title><p>Gone fishing."


class WebHandler(BaseHTTPRequestHandler):
    """Serves ``/<how>/<name>``: ``good``, ``slow``, ``gone``, ``cut``, ``page``, ``closed``, ``endless``."""

    pictures: dict[str, bytes]
    asked: list[str]

    def do_GET(self) -> None:
        _, how, name = self.path.split("/", 2)
        self.asked.append(self.path)
        data = self.pictures.get(name, b"")
        if how == "gone":
            self.send_error(404)
            return
        if how == "slow":
            time.sleep(SLOW_SECONDS)
        self.send_response(200)
        self.send_header("Content-Type", "image/jpeg")
        if how == "closed":
            self.send_header("X-Robots-Tag", "noai")
        if how == "page":
            data = PAGE
        if how != "endless":
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        with suppress(OSError):  # it did not wait
            self.wfile.write(data[: len(data) // 2] if how == "cut" else data)
            while how == "endless":
                self.wfile.write(bytes(1 << 20))

    def log_message(self, *what: object) -> None:
        """Say nothing."""


@contextmanager
def web_server(pictures: dict[str, bytes]) -> Iterator[tuple[str, list[str]]]:
    """Serve pictures by name; yields the address and the paths that were asked for."""
    asked: list[str] = []
    handler = type("Handler", (WebHandler,), {"pictures": pictures, "asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
