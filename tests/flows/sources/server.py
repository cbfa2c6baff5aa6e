"""A provider on loopback: recorded answers by path, every request written down, all the ways to fail."""

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

PAYLOADS = Path(__file__).parents[2] / "payloads"


@dataclass(frozen=True)
class Said:
    """One answer: what is sent, how slowly, and whether it is cut short."""

    body: str | bytes = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    silence: float = 0.0
    drip: float = 0.0
    header_drip: float = 0.0  # between the bytes of a header that comes first
    missing: int = 0  # bytes promised but never sent

    @property
    def data(self) -> bytes:
        return self.body.encode() if isinstance(self.body, str) else self.body


@dataclass
class Provider:
    """What is answered: the first route whose text is in the path wins; a list is answered in order."""

    routes: dict[str, Any] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    url: str = ""
    lock: Any = field(default_factory=threading.Lock)

    def answer(self, path: str) -> Said:
        with self.lock:
            self.seen.append(path)
            found = next((route for part, route in self.routes.items() if part in path), None)
            if isinstance(found, list):
                found = found.pop(0) if len(found) > 1 else found[0]
        if found is not None:
            return found(query(path)) if callable(found) else found
        return Said("nothing here", 404, content_type="text/plain")

    def asked(self, part: str) -> list[str]:
        return [path for path in self.seen if part in path]


def query(path: str) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(urlsplit(path).query).items()}


class Handler(BaseHTTPRequestHandler):
    """Sends what the provider says."""

    protocol_version = "HTTP/1.1"
    provider: Provider

    def do_GET(self) -> None:
        said = self.provider.answer(self.path)
        time.sleep(said.silence)
        try:
            self.send_response(said.status)
            if said.header_drip:
                self.flush_headers()
                self.drip(b"X-Slow: " + b"x" * 60 + b"\r\n", said.header_drip)
            for name, value in said.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", said.content_type)
            self.send_header("Content-Length", str(len(said.data) + said.missing))
            if said.missing:
                self.send_header("Connection", "close")
            self.end_headers()
            self.send_body(said)
        except OSError:
            pass
        self.close_connection = self.close_connection or bool(said.missing)

    do_POST = do_GET  # noqa: N815 - the base class asks for these names

    def send_body(self, said: Said) -> None:
        if said.drip:
            self.drip(said.data, said.drip)
        else:
            self.wfile.write(said.data)

    def drip(self, data: bytes, pause: float) -> None:
        for byte in data:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            time.sleep(pause)

    def log_message(self, *arguments: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Daemon threads, so that a slow answer never holds up the end of a test."""

    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


@contextmanager
def serve(context: ssl.SSLContext | None = None) -> Iterator[Provider]:
    """A provider on a free port; with a context over TLS."""
    provider = Provider()
    handler = type("Bound", (Handler,), {"provider": provider})
    server = Server(("127.0.0.1", 0), handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    provider.url = f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()


def payload(name: str) -> str:
    """A recorded answer's text."""
    return (PAYLOADS / name).read_text()


def error(provider: str, status: int, nth: int = 0) -> Said:
    """A recorded error body with its status and headers."""
    found = [
        one
        for one in json.loads(payload("errors.json"))
        if one["provider"] == provider and one["http_status"] == status
    ]
    one = found[nth]
    return Said(one["body"], status, one.get("headers", {}), one["content_type"])


Answering = Callable[[dict[str, str]], Said]
