"""A small file server on this machine, with the bad habits that servers have."""

import contextlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Answer:
    """How the server answers one request.

    status: an error to answer with; 0 for no answer at all. location: where it sends the client instead. ranges:
    whether it knows them; shift: by how much it gets them wrong. content: what it gives instead of the file. told:
    whether it tells the length. ends: after how many bytes of the answer it hangs up; stalls: after how many it says
    nothing more.
    """

    status: int = 200
    location: str = ""
    ranges: bool = True
    shift: int = 0
    content: bytes | None = None
    told: bool = True
    ends: int | None = None
    stalls: int | None = None


@dataclass
class FileServer:
    """files: content by name. answers: those to the next requests; afterwards it behaves. asked: (path, Range)."""

    files: dict[str, bytes]
    address: str = ""
    answers: list[Answer] = field(default_factory=list)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        served = self.server.served
        served.asked.append((self.path, self.headers["Range"]))
        answer = served.answers.pop(0) if served.answers else Answer()
        content = served.files.get(self.path.rpartition("/")[2])
        if answer.status == 0:
            return
        if answer.location:
            self.send_response(302)
            self.send_header("Location", answer.location)
            self.end_headers()
        elif answer.status != 200 or content is None:
            self.send_error(404 if content is None else answer.status)
        else:
            self.send_file(content if answer.content is None else answer.content, answer)

    def send_file(self, content, answer):
        start = 0
        if self.headers["Range"] and answer.ranges:
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-")) + answer.shift
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        if answer.told:
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        stop = min(filter(lambda end: end is not None, (answer.ends, answer.stalls, len(content))))
        self.wfile.write(content[start:][:stop])
        if answer.stalls is not None:
            self.server.served.closing.wait(20)

    def log_message(self, *arguments):
        pass


class _Server(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """Say nothing: clients hang up in these tests."""


@contextlib.contextmanager
def serving(files):
    """Serve files; gives a FileServer."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.served = FileServer(files, f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.served
        finally:
            server.served.closing.set()
            server.shutdown()
            thread.join()
