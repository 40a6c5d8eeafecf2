"""Requests that another site has a browser send are refused."""

from __future__ import annotations

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from stvg_jax.serve.guard import Guard, is_loopback


def status(host: str, headers: dict[str, str], method: str = "GET") -> int:
    client = TestClient(Guard(PlainTextResponse("inside"), host), base_url="http://127.0.0.1:7860")
    answer = client.request(method, "/", headers=headers)
    assert ("error" in answer.text) == (answer.status_code != 200)
    return answer.status_code


@pytest.mark.parametrize(
    ("served", "asked", "expected"),
    [
        ("127.0.0.1", "127.0.0.1:7860", 200),
        ("127.0.0.1", "LOCALHOST:7860", 200),
        ("127.0.0.1", "[::1]:7860", 200),
        # Through a tunnel the port is another.
        ("127.0.0.1", "localhost:9000", 200),
        ("127.0.0.1", "evil.example", 403),
        ("127.0.0.1", "localhost.evil.example:7860", 403),
        ("127.0.0.1", "evil.example@localhost", 403),
        ("127.0.0.1", "192.168.1.5:7860", 403),
        ("127.0.0.1", "", 403),
        ("box.example", "box.example:7860", 200),
        ("box.example", "evil.example:7860", 403),
        ("0.0.0.0", "192.168.1.5:7860", 200),
        ("::", "[fe80::1]:7860", 200),
        ("0.0.0.0", "evil.example:7860", 403),
    ],
)
def test_hosts(served, asked, expected):
    assert status(served, {"Host": asked}) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 200),
        ({"Origin": "http://127.0.0.1:7860"}, 200),
        ({"Origin": "https://127.0.0.1:7860"}, 200),
        ({"Origin": "http://127.0.0.1:7861"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_origins_of_writes(headers, expected, method):
    assert status("127.0.0.1", headers, method) == expected


def test_two_hosts_are_refused():
    client = TestClient(Guard(PlainTextResponse("inside"), "127.0.0.1"), base_url="http://127.0.0.1")
    assert client.get("/", headers=[("Host", "127.0.0.1"), ("Host", "evil.example")]).status_code == 403


def test_every_response_is_guarded():
    client = TestClient(Guard(PlainTextResponse("inside"), "127.0.0.1"), base_url="http://127.0.0.1")
    for headers in ({}, {"Host": "evil.example"}):
        sent = client.get("/", headers=headers).headers
        policy = sent["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert sent["x-content-type-options"] == "nosniff"
        assert sent["cross-origin-resource-policy"] == "same-origin"
        assert not any(name.startswith("access-control") for name in sent)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("box.example", False)],
)
def test_loopback(host, loopback):
    assert is_loopback(host) == loopback
