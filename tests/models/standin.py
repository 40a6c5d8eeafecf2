"""A stand-in for the Hugging Face hub on the loopback address, with the answers that huggingface_hub reads."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

# Files of more bytes are told by their SHA-256 and served from another address, as by git-lfs.
_LARGE = 20_000


@dataclasses.dataclass
class Repository:
    """A repository: its files, its only commit, and how it answers.

    Attributes:
        files: path -> content.
        commit: name of the commit.
        refuses: None; or the hub's code of an error, such as "GatedRepo".
        stops_after: bytes after which the next download breaks off; None for never.
        stall: event that the next download waits for after its first 100,000 bytes; None for no wait.
        cut: bytes that are missing at the end of every large file.
        damaged: whether large files arrive with another last byte.
    """

    files: dict[str, bytes]
    commit: str = "a" * 40
    refuses: str | None = None
    stops_after: int | None = None
    stall: threading.Event | None = None
    cut: int = 0
    damaged: bool = False


class Hub:
    """The server.

    Attributes:
        repositories: name -> repository.
        requests: (method, path, start of the range) of all requests, in order.
        tokens: (path, token) of the same; "" without one.
        address: its address.
        writers: tokens that may write.
    """

    def __init__(self, address: str) -> None:
        self.repositories: dict[str, Repository] = {}
        self.requests: list[tuple[str, str, int]] = []
        self.tokens: list[tuple[str, str]] = []
        self.address = address
        self.writers = {"hf_writer"}
        self.uploads: dict[str, bytes] = {}

    def asked(self, method: str, ending: str) -> list[int]:
        """Starts of the ranges of requests of this kind."""
        return [start for kind, path, start in self.requests if kind == method and path.endswith(ending)]


@contextlib.contextmanager
def running() -> Iterator[Hub]:
    """A hub that runs on a thread."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    hub = Hub(f"http://127.0.0.1:{server.server_port}")
    server.hub = hub  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def hub(self) -> Hub:
        return self.server.hub  # type: ignore[attr-defined]

    def log_message(self, *args):
        pass

    def _note(self) -> tuple[str, int]:
        path = unquote(urlsplit(self.path).path)
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(match[1]) if match else 0
        self.hub.requests.append((self.command, path, start))
        self.hub.tokens.append((path, self.headers.get("Authorization", "").removeprefix("Bearer ")))
        return path, start

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path, start = self._note()
        if path == "/":
            return self._send(200, b"")
        if match := re.fullmatch(r"/(?:cdn|files)/(.+)/(\d+)/([^/]+)", path):
            return self._content(match[1], match[3], start)
        if match := re.fullmatch(r"/(.+?)/resolve/([^/]+)/(.+)", path):
            return self._resolve(*match.groups(), start)
        if match := re.fullmatch(r"/api/models/(.+?)/tree/([^/]+)", path):
            return self._tree(*match.groups())
        if match := re.fullmatch(r"/api/models/(.+?)(?:/revision/([^/]+))?", path):
            return self._info(match[1], match[2] or "main")
        return self._send(404, b"")

    def _repository(self, name: str, revision: str) -> Repository | None:
        repository = self.hub.repositories.get(name)
        if repository is None:
            self._send(401, b"", {"X-Error-Code": "RepoNotFound"})
        elif repository.refuses:
            status = {"GatedRepo": 403, "RepoNotFound": 401, "EntryNotFound": 404}.get(repository.refuses, 500)
            self._send(status, b"", {"X-Error-Code": repository.refuses})
        elif revision not in ("main", repository.commit):
            self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})
        else:
            return repository
        return None

    def _resolve(self, name: str, revision: str, file: str, start: int) -> None:
        if (repository := self._repository(name, revision)) is None:
            return None
        content = repository.files.get(file)
        if content is None:
            return self._send(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": repository.commit})
        headers = {"X-Repo-Commit": repository.commit, "ETag": f'"{hashlib.sha1(content).hexdigest()}"'}
        if len(content) <= _LARGE:
            return self._send(200, content, headers)
        headers |= {
            "X-Linked-Etag": f'"{hashlib.sha256(content).hexdigest()}"',
            "X-Linked-Size": str(len(content)),
            # Another host, as on the hub: huggingface_hub reads what it is told before.
            "Location": f"{self.hub.address.replace('127.0.0.1', 'localhost')}/cdn/{name}/0/{file}",
        }
        return self._send(302, b"", headers)

    def _content(self, name: str, file: str, start: int) -> None:
        repository = self.hub.repositories[name]
        content = repository.files[file]
        content = content[: len(content) - repository.cut]
        if repository.damaged:
            content = content[:-1] + bytes([content[-1] ^ 1])
        if start and start >= len(content):
            return self._send(416, b"")
        headers = {"Accept-Ranges": "bytes"}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        stop, repository.stops_after = repository.stops_after, None
        stall, repository.stall = repository.stall, None
        if self.command == "GET" and stall is not None:
            return self._stall(content, stall)
        return self._send(206 if start else 200, content[start:], headers, stop)

    def _stall(self, content: bytes, stall: threading.Event) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:100_000])
        stall.wait(60)
        self.close_connection = True

    def _info(self, name: str, revision: str) -> None:
        if (repository := self._repository(name, revision)) is not None:
            siblings = [{"rfilename": file} for file in repository.files]
            self._json({"id": name, "sha": repository.commit, "siblings": siblings, "private": False, "tags": []})

    def _tree(self, name: str, revision: str) -> None:
        if (repository := self._repository(name, revision)) is not None:
            self._json([self._entry(file, content) for file, content in repository.files.items()])

    def _entry(self, file: str, content: bytes) -> dict:
        entry = {"type": "file", "path": file, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
        if len(content) > _LARGE:
            entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 100}
        return entry

    def do_PUT(self):
        path, _ = self._note()
        self.hub.uploads[path.rpartition("/")[2]] = self._body()
        self._send(200, b"")

    def do_POST(self):
        path, _ = self._note()
        body = self._body()
        if self.headers.get("Authorization", "").removeprefix("Bearer ") not in self.hub.writers:
            return self._send(403, b"{}")
        if path == "/api/validate-yaml":
            return self._json({"warnings": [], "errors": []})
        if path == "/api/repos/create":
            values = json.loads(body)
            name = "/".join(filter(None, (values.get("organization"), values["name"])))
            if name in self.hub.repositories:
                return self._json({"url": f"{self.hub.address}/{name}"}, 409)
            self.hub.repositories[name] = Repository({})
            return self._json({"url": f"{self.hub.address}/{name}"})
        if "/preupload/" in path:
            modes = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["size"] > _LARGE else "regular",
                    "shouldIgnore": False,
                }
                for file in json.loads(body)["files"]
            ]
            return self._json({"files": modes})
        if path.endswith("/objects/batch"):
            return self._json({"transfer": "basic", "objects": [self._upload(o) for o in json.loads(body)["objects"]]})
        match = re.fullmatch(r"/api/models/(.+?)/commit/main", path)
        return self._commit(match[1], body) if match else self._send(404, b"")

    def _upload(self, wanted: dict) -> dict:
        action = {"upload": {"href": f"{self.hub.address}/upload/{wanted['oid']}", "header": {}}}
        return {**wanted, "actions": action, "authenticated": True}

    def _commit(self, name: str, body: bytes) -> None:
        repository = self.hub.repositories[name]
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                repository.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                repository.files[value["path"]] = self.hub.uploads[value["oid"]]
        url = f"{self.hub.address}/{name}/commit/{repository.commit}"
        self._json({"success": True, "commitOid": repository.commit, "commitUrl": url, "hookOutput": ""})

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _json(self, value: object, status: int = 200) -> None:
        self._send(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None, stop: int | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body if stop is None else body[:stop])
        if stop is not None:
            self.close_connection = True
