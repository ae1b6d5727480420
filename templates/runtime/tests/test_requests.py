"""Requests that nobody meant: each is answered, or refused in a sentence; the server logs no traceback and stays up."""

import gzip
import json
import socket
from collections import Counter
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any, NamedTuple

from tests.conftest import Server

Rows = list[dict[str, Any]]


class Odd(NamedTuple):
    """A request, and the statuses that it may be answered with."""

    name: str
    body: bytes
    may: set[int]
    address: str = "/score"
    method: str = "POST"
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)


ODD_VALUES = {
    "NaN": "NaN",
    "Infinity": "Infinity",
    "minus-Infinity": "-Infinity",
    "1e400": "1e400",
    "minus-1e400": "-1e400",
    "3.5e38": "3.5e38",
    "tiny": "1e-400",
    "minus-zero": "-0.0",
    "huge": "1" + "0" * 400,
    "longest": "9" * 5000,
    "true": "true",
    "false": "false",
    "null": "null",
    "list": "[1]",
    "empty-list": "[]",
    "object": '{"a": 1}',
    "empty-object": "{}",
    "deep": "[" * 900 + "]" * 900,
    "number-as-text": '"12"',
    "empty-text": '""',
    "blank": '" "',
    "date": '"2024-01-31"',
    "no-date": '"31.31.2024"',
    "high-surrogate": r'"\ud800"',
    "low-surrogate": r'"\udfff"',
    "pair": r'"\ud83d\ude00"',
    "nul": r'"\u0000"',
    "emoji": '"🚀"',
    "right-to-left": '"\u202eabc"',
    "long": f'"{"x" * 100_000}"',
    "sql": '"1; DROP TABLE x"',
    "markup": '"<script>alert(1)</script>"',
    "template": '"{{7*7}} ${7*7} %s %n"',
    "path": '"../../etc/passwd"',
    "separator": '"\u2028"',
    "one": "1",
    "whole-as-float": "1.0",
    "exponent": "1E2",
}
ODD_TEXTS = {  # in the place of a JSON value: none of them is one
    "hex": "0x10",
    "plus": "+1",
    "point": ".5",
    "no-digits": "1.",
    "octal": "010",
    "undefined": "undefined",
    "none": "None",
    "python-true": "True",
    "quotes": "'a'",
    "comment": "1 /* one */",
    "control": '"a\nb"',
    "escape": r'"\x41"',
    "open-text": '"a',
    "underscores": "1_000",
    "date-call": "Date(0)",
    "nothing": "",
}
ODD_BODIES: dict[str, Any] = {
    "nothing": b"",
    "blank": b" ",
    "null": b"null",
    "number": b"7",
    "text": b'"data"',
    "true": b"true",
    "list": b"[]",
    "object": b"{}",
    "no-data": b'{"rows": []}',
    "null-data": b'{"data": null}',
    "object-data": b'{"data": {}}',
    "text-data": b'{"data": "x"}',
    "number-data": b'{"data": 1}',
    "no-rows": b'{"data": []}',
    "null-row": b'{"data": [null]}',
    "number-row": b'{"data": [1]}',
    "text-row": b'{"data": ["a"]}',
    "list-row": b'{"data": [[1]]}',
    "empty-row": b'{"data": [{}]}',
    "upper-case": b'{"DATA": [{}]}',
    "nested-data": b'{"data": {"data": {"data": []}}}',
    "open": b'{"data": [',
    "half": b'{"da',
    "closed-twice": b'{"data": []}}',
    "two": b"{}{}",
    "comma": b'{"data": [],}',
    "xml": b"<data/>",
    "yaml": b"data:\n- a: 1\n",
    "csv": b"a,b\n1,2\n",
    "form": b"data=1&b=2",
    "latin-1": b'{"data": [{"\xe9": 1}]}',
    "utf-8-cut": b'{"data": "\xc3',
    "overlong": b'"\xc0\xaf"',
    "utf-16": '{"data": []}'.encode("utf-16"),
    "utf-32": '{"data": []}'.encode("utf-32"),
    "only-bom": b"\xef\xbb\xbf",
    "nul": b"\0",
    "nuls": b"\0" * 1000,
    "every-byte": bytes(range(256)),
    "pickle": b"\x80\x04N.",
    "zip": b"PK\x03\x04",
    "deep": b"[" * 100_000,
    "deep-closed": b"[" * 5000 + b"]" * 5000,
    "deep-data": b'{"data":' * 5000,
    "deep-objects": b'{"a":' * 100_000,
    "many-empty": b'{"data": [' + b"{}," * 1_000_000 + b"{}]}",
    "many-numbers": b'{"data": [' + b"1," * 1_000_000 + b"1]}",
    "many-lists": b'{"columns": [], "data": [' + b"[]," * 20_000 + b"[]]}",
    "many-nested": b'{"data": {"columns": [], "data": [' + b"[]," * 20_000 + b"[]]}}",
    "number-key": b"{1: []}",
    "columns-null": b'{"columns": null, "data": [[1]]}',
    "columns-number": b'{"columns": 1, "data": [[1]]}',
    "columns-lists": b'{"columns": [[1]], "data": [[1]]}',
    "columns-twice": b'{"columns": ["a", "a"], "data": [[1, 2]]}',
    "columns-none": b'{"columns": [], "data": [[]]}',
    "columns-alone": b'{"columns": ["a"]}',
    "records": b'[{"a": 1}]',
    "index": b'{"a": {"0": 1}}',
    "values": b"[[1, 2]]",
    "inputs": b'{"instances": [[1]]}',
    "v2": b'{"input_data": {"columns": ["a"], "data": [[1]]}}',
    "dataframe": b'{"dataframe_split": {"columns": [], "data": []}}',
}


def odd_requests(rows: Rows) -> Iterator[Odd]:
    """Made of good ones: each value of each kind in each column, and what is none of JSON or HTTP."""
    row = rows[0]
    good = json.dumps({"data": rows}).encode()
    numbers = [name for name, value in row.items() if not isinstance(value, str)]
    texts = [name for name in row if name not in numbers]
    for name in (numbers[0], numbers[-1], texts[0], texts[-1]):
        for kind, text in ODD_VALUES.items():
            yield Odd(f"{name}={kind}", with_value(row, name, text), {200, 400})
    for kind, text in ODD_TEXTS.items():
        yield Odd(f"not-json-{kind}", with_value(row, numbers[0], text), {400})
    for kind, body in ODD_BODIES.items():
        yield Odd(f"body-{kind}", body, {400})

    names = list(row)
    less = {name: row[name] for name in names[1:]}
    uneven = {"second-row-shorter": [row, less], "second-row-null": [row, None], "first-row-less": [less, row]}
    for kind, data in uneven.items():
        yield Odd(kind, json.dumps({"data": data}).encode(), {400})
    for kind, split in {
        "split-short-row": {"columns": names, "data": [[1]]},
        "split-unknown": {"columns": [f"{name}?" for name in names], "data": [list(row.values())]},
        "split-objects": {"columns": names, "data": [row]},
    }.items():
        yield Odd(kind, json.dumps(split).encode(), {400})
    for kind, body in {
        "split": json.dumps({"columns": names, "data": [list(row.values())]}).encode(),
        "split-backwards": json.dumps({"columns": names[::-1], "data": [list(row.values())[::-1]]}).encode(),
        "another-order": json.dumps({"data": [dict(reversed(row.items()))]}).encode(),
        "more-columns": json.dumps({"data": [row | {"": 1, "more": {"deep": [1]}}]}).encode(),
        "more-keys": json.dumps({"id": 1, "data": [row], "params": None}).encode(),
        "column-twice": b'{"data": [{"' + names[0].encode() + b'": "x", ' + json.dumps(row).encode()[1:] + b"]}",
        "data-twice": b'{"data": [], ' + good[1:],
        "bom": b"\xef\xbb\xbf" + good,
        "blanks": b"\r\n\t " + good + b" \n",
        "indented": json.dumps({"data": rows}, indent=8).encode(),
        "escaped": "".join(f"\\u{ord(c):04x}" if c.isalpha() else c for c in json.dumps(row))
        .join(('{"data": [', "]}"))
        .replace("\\u006e\\u0075\\u006c\\u006c", "null")
        .replace("\\u0064\\u0061\\u0074\\u0061", "data")
        .encode(),
        "10000-rows": json.dumps({"data": [row] * 10_000}).encode(),
    }.items():
        yield Odd(kind, body, {200})
    yield Odd("10001-rows", json.dumps({"data": [row] * 10_001}).encode(), {400})
    yield Odd(
        "gzip", gzip.compress(good), {400}, headers=(("Content-Type", "application/json"), ("Content-Encoding", "gzip"))
    )

    yield from odd_heads(good)


def odd_heads(good: bytes) -> Iterator[Odd]:
    """Made of one good body: its headers, its method and its address are what is odd."""
    for kind in (
        "text/plain",
        "application/octet-stream",
        "image/png",
        "no/such; charset=utf-16",
        "",
        "a" * 1000,
        "application/json;;;",
    ):
        yield Odd(f"content-type-{kind[:30]}", good, {200, 400, 415}, headers=(("Content-Type", kind),))
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data", "multipart/form-data; boundary=x"):
        yield Odd(f"content-type-{kind}", good, {200, 400, 415}, headers=(("Content-Type", kind),))
    for name, value in (
        ("SCRIPT-NAME", "/other"),
        ("X-Forwarded-Prefix", "/x"),
        ("X-Forwarded-Proto", "gopher"),
        ("Accept", "text/html"),
        ("Accept-Encoding", "br;q=2"),
        ("Accept-Charset", "no"),
        ("Host", ""),
        ("Host", "a b"),
        ("Origin", "null"),
        ("X-Request-Id", "x" * 101),
        ("X-Ms-Client-Request-Id", "x" * 101),
        ("X-Http-Method-Override", "DELETE"),
        ("Authorization", "Bearer \xff"),
        ("Cookie", "=;=;" * 500),
        ("Range", "bytes=9-1"),
        ("If-Match", "*"),
        ("TraceId", "a\tb"),
    ):
        may = set(range(400, 500)) | {200}
        yield Odd(f"header-{name}", good, may, headers=(("Content-Type", "application/json"), (name, value)))

    for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "BREW", "get", "OPTIONS"):
        yield Odd(
            f"method-{method}",
            b"" if method in ("GET", "HEAD") else good,
            {200} if method == "OPTIONS" else {400, 405, 501},
            method=method,
        )
    yield Odd("get-with-rows", b"", {405}, f"/score?data={'%5B%5D'}", "GET")
    for address in (
        "/score/",
        "//score",
        "/Score",
        "/score/..",
        "/%73core",
        "/score%00",
        "/score;a=b",
        "/score%2f",
        "/" + "a" * 5000,
        "/%ff",
        "/*",
    ):
        yield Odd(f"address-{address[:20]}", good, {200, 400, 404, 405, 414}, address)
    for asking in (
        "?",
        "?explain=false",
        "?explain=",
        "?explain=yes",
        "?explain=1",
        "?explain=%ff",
        "?explain[]=true",
        "?" + "a=b&" * 500,
        "?explain=false&explain=true",
        "?%00",
        "?explain=true;drop",
        "?explain=TRUE",
    ):
        yield Odd(f"asking-{asking[:20]}", good, {200, 400}, f"/score{asking}")
    for asking in ("?version=4", "?version=", "?version=%00", "?version=3.1.1", "?version=" + "3" * 1000):
        yield Odd(f"swagger-{asking[:20]}", b"", {404}, f"/swagger.json{asking}", "GET")


def with_value(row: dict[str, Any], name: str, text: str) -> bytes:
    """A request whose first row has this text as the value of a column."""
    return json.dumps({"data": [row | {name: "\a"}]}).replace('"\\u0007"', text).encode()


def test_odd_requests(server: Server, rows: Rows) -> None:
    found: Counter[int] = Counter()
    before = len(server.log.read_text())
    for odd in odd_requests(rows):
        status, body = sent(server, odd)
        assert status in odd.may, (odd.name, status, body[:300])
        found[status] += 1
        if odd.method == "HEAD" or status == 200:
            continue
        said = json.loads(body)["message"] if body.startswith(b"{") else body.decode()  # those of the server itself
        assert 10 < len(said) < 400 and "Traceback" not in said and "object at 0x" not in said, (odd.name, said)
    assert server.post({"data": rows})[0] == 200, "and goes on"
    log = server.log.read_text()[before:]
    assert "Traceback" not in log and '"status": 500' not in log
    print("odd requests:", dict(sorted(found.items())))
    assert found.total() > 250 and found[200] > 50


def sent(server: Server, odd: Odd) -> tuple[int, bytes]:
    connection = HTTPConnection(server.url.removeprefix("http://"), timeout=60)
    try:
        connection.putrequest(odd.method, odd.address, skip_host=any(name == "Host" for name, _ in odd.headers))
        for name, value in (*odd.headers, ("Content-Length", str(len(odd.body)))):
            connection.putheader(name, value)
        connection.endheaders(odd.body)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_what_is_no_http(server: Server, rows: Rows) -> None:
    """Chunks and lengths that are none: no answer of the model is one to them, and the next client is answered."""
    body = json.dumps({"data": rows}).encode()
    head = b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n"
    before = len(server.log.read_text())
    for said in (
        head + b"Content-Length: -1\r\n\r\n",
        head + b"Content-Length: x\r\n\r\n" + body,
        head + b"Content-Length: 1_0\r\n\r\n",
        chunked + b"zz\r\n" + body,
        chunked + b"-1\r\n" + body,
        chunked + b"5\r\n{}\r\n0\r\n\r\n",
        head + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=30) as line:
            line.sendall(said)
            line.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: line.recv(65536), b""))
        assert not answer or answer.startswith(b"HTTP/1.1 4"), (said, answer[:300])
    assert server.post({"data": rows})[0] == 200
    assert '"status": 500' not in server.log.read_text()[before:]
