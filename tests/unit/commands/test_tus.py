"""The command line's upload client against a server that loses its first answer."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

from kinema.commands.tus import TusClient


class Region(BaseHTTPRequestHandler):
    keys: ClassVar[list[str]] = []

    def do_POST(self):
        self.keys.append(self.headers["Idempotency-Key"])
        self.send_response(502 if len(self.keys) == 1 else 201)
        self.send_header("Location", "/v1/uploads/u")
        self.send_header("Kinema-Title-Id", "t")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_PATCH(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def test_a_creation_is_repeated_with_the_same_key_and_another_one_has_another(tmp_path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Region)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    file = tmp_path / "film.mp4"
    file.write_bytes(b"123")
    try:
        for _ in range(2):
            TusClient(f"http://127.0.0.1:{server.server_port}", "token", file, tmp_path, lambda _: None).run("Film")
    finally:
        server.shutdown()
        server.server_close()
    first, again, other = Region.keys
    assert first == again != other
