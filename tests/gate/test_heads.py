"""Heads and bodies of HTTP, keys, and addresses: pure parts of the gate."""

from __future__ import annotations

import contextlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.domain.masking import MASK, Masker
from conductor.gate.forms import call_kind, may_pass, worthless_key
from conductor.gate.framing import BadFraming, Chunked, Sized
from conductor.gate.heads import BadHead, RequestHead, parse_answer, parse_request
from conductor.gate.upstream import Address, address_of, proxy_for

CHUNKS = b"4\r\nabcd\r\n1a;x=y\r\n" + b"z" * 26 + b"\r\n0\r\nx-trailer: 1\r\n\r\n"


@given(cuts=st.lists(st.integers(0, len(CHUNKS)), max_size=10), behind=st.binary(max_size=5))
def test_any_cutting_of_chunks_gives_the_same_content(cuts: list[int], behind: bytes) -> None:
    framing, content, used = Chunked(), b"", 0
    raw = CHUNKS + behind
    edges = [0, *sorted(cuts), len(raw)]
    for begin, end in pairwise(edges):
        taken, pieces = framing.feed(raw[begin:end])
        used += taken
        content += b"".join(pieces)
    assert (content, used, framing.ended) == (b"abcd" + b"z" * 26, len(CHUNKS), True)


@given(pieces=st.lists(st.binary(max_size=50), max_size=5))
def test_chunks_that_are_none_are_an_error_of_their_own(pieces: list[bytes]) -> None:
    framing = Chunked()
    with contextlib.suppress(BadFraming):
        for piece in pieces:
            framing.feed(piece)


@pytest.mark.parametrize("raw", [b"x\r\n", b"-1\r\n", b"\r\n", b"2\r\nabc\r\n", b"1" * 20_000])
def test_bad_chunks_are_refused(raw: bytes) -> None:
    with pytest.raises(BadFraming):
        Chunked().feed(raw)


def test_a_sized_body_leaves_what_follows() -> None:
    framing = Sized(3)
    assert framing.feed(b"ab") == (2, [b"ab"])
    assert framing.feed(b"cdef") == (1, [b"c"])
    assert framing.ended


@given(raw=st.binary(max_size=200))
def test_a_head_is_read_or_refused(raw: bytes) -> None:
    for parse in (parse_request, parse_answer):
        for lead in (b"", b"GET / HTTP/1.1\r\n", b"HTTP/1.1 200 OK\r\n"):
            with contextlib.suppress(BadHead):
                head = parse(lead + raw)
                _ = head.framing if isinstance(head, RequestHead) else head.framing("GET")


@pytest.mark.parametrize(
    ("method", "target", "kind"),
    [
        ("POST", "/v1/messages?beta=true", "messages"),
        ("POST", "/v1/messages/count_tokens", ""),
        ("POST", "/v1/responses", "responses"),
        ("POST", "/v1/responses/compact", "responses"),
        ("POST", "/v1/chat/completions", "chat"),
        ("POST", "/v1beta/models/x:generateContent", "generate"),
        ("POST", "/v1beta/models/x:streamGenerateContent?alt=sse", "generate"),
        ("POST", "/v1beta/models/x:countTokens", ""),
        ("GET", "/v1/responses", ""),
        ("POST", "/v1/message%73", "messages"),
        ("POST", "/v1/messages/", "messages"),
        ("POST", "/v1/responses/%2F?x", "responses"),
        ("POST", "/v1beta/models/x%3agenerateContent", "generate"),
        ("POST", "/openai/deployments/d/chat/completions", "chat"),
    ],
)
def test_which_requests_are_model_calls(method: str, target: str, kind: str) -> None:
    assert call_kind(RequestHead(method, target, 1, ())) == kind


@pytest.mark.parametrize(
    ("method", "target", "passes"),
    [
        ("POST", "/v1/messages?beta=true", True),
        ("POST", "/v1/messages/count_tokens", True),
        ("POST", "/v1beta/models/x:countTokens", True),
        ("GET", "/v1/models?client_version=1", True),
        ("GET", "/models", True),
        ("GET", "/v1/models/vendor/name-1.5:free", True),
        ("HEAD", "/", True),
        ("GET", "/", True),
        ("POST", "/v1/messages/batches", False),
        ("POST", "/v1/message%2573", False),
        ("GET", "/v1/messages", False),
        ("GET", "/v1/models/../files", False),
        ("GET", "/v1/models/%2e%2e/files", False),
        ("GET", "/v1/models;/messages", False),
        ("DELETE", "/v1/models/ft:own", False),
        ("POST", "/v1/files", False),
        ("POST", "/v1/embeddings", False),
        ("POST", "/v1beta/models/x:batchGenerateContent", False),
        ("GET", "/v1/organizations/api_keys", False),
        ("POST", "/v1/threads/t/messages", False),
        ("POST", "/", False),
    ],
)
def test_which_requests_may_pass(method: str, target: str, passes: bool) -> None:
    assert may_pass(RequestHead(method, target, 1, ())) is passes


@pytest.mark.parametrize(
    ("form", "lead", "length"),
    [("anthropic", "sk-ant-api03-", 108), ("openai", "sk-proj-", 164), ("gemini", "AIza", 39)],
)
@given(seed=st.binary(min_size=200, max_size=200))
def test_a_worthless_key_looks_like_one_and_is_masked(form: str, lead: str, length: int, seed: bytes) -> None:
    key = worthless_key(form, lambda count: seed[:count])
    assert (key[: len(lead)], len(key)) == (lead, length)
    assert Masker().mask(f"key {key}") == f"key {MASK}"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://api.example.com", Address(True, "api.example.com", 443)),
        ("https://api.example.com:8443/a/b/", Address(True, "api.example.com", 8443, "/a/b")),
        ("http://[::1]:80/x", Address(False, "::1", 80, "/x")),
        ("http://u:p@proxy:3128", Address(False, "proxy", 3128, "", "u:p")),
        ("https://a b", None),
        ("https://a/?q=1", None),
        ("https://a/#x", None),
        ("https://a/\u00e9", None),
    ],
)
def test_addresses(url: str, address: Address | None) -> None:
    assert address_of(url) == address


@pytest.mark.parametrize(
    ("environment", "host"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://proxy:1"}, "proxy"),
        ({"https_proxy": "proxy:1"}, "proxy"),
        ({"HTTPS_PROXY": "proxy:1", "NO_PROXY": "other, .example.com"}, None),
        ({"HTTPS_PROXY": "proxy:1", "NO_PROXY": "ample.com"}, "proxy"),
        ({"HTTPS_PROXY": "proxy:1", "no_proxy": "*"}, None),
    ],
)
def test_which_proxy(environment: dict[str, str], host: str | None) -> None:
    proxy = proxy_for(Address(True, "api.example.com", 443), environment)
    assert (proxy.host if proxy else None) == host
    assert proxy_for(Address(True, "127.0.0.1", 443), environment) is None
