"""Whatever is sent, there is an answer or a 4xx with a reason; the connection stays usable."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import pytest

V1, V2 = "/v1/models/remat:predict", "/v2/models/remat/infer"


def send(url: str, path: str, body: bytes, content_type: str = "application/json", **headers: str) -> tuple[int, Any]:
    """Send a body and then, over the same connection, a sound request that must be answered."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=120)
    connection.request("POST", path, body, {"Content-Type": content_type, **headers})
    answer = connection.getresponse()
    status, content = answer.status, json.loads(answer.read())
    connection.request("POST", V1, json.dumps({"instances": ["INFN Bari"]}), {"Content-Type": "application/json"})
    after = connection.getresponse()
    assert after.status == 200 and json.loads(after.read())["predictions"][0]["label"] == "BA"
    connection.close()
    return status, content


def v1(*instances: Any) -> bytes:
    return json.dumps({"instances": list(instances)}).encode()


def v2(*data: Any, **changes: Any) -> bytes:
    tensor = {"name": "a", "datatype": "BYTES", "shape": [len(data)], "data": list(data), **changes}
    return json.dumps({"inputs": [tensor]}).encode()


def test_v1_answers_the_seeds_examples(server: str) -> None:
    strings = ("INFN Bari, Dept Phys, Bari, Italy", "Univ Siena, Dipartimento Fis, Pisa, Italy")
    status, content = send(server, V1, v1(*strings, "INFN Sez, Lab Nazl Frascati, Rome"))
    assert status == 200 and list(content) == ["predictions"]
    rows = content["predictions"]
    assert [(row["label"], row["infn"]) for row in rows] == [("BA", True), ("Unknown", False), ("LNF", True)]
    assert all(set(row) == {"label", "infn", "probability"} and 0 <= row["probability"] <= 1 for row in rows)


def test_v2_answers_three_tensors(server: str) -> None:
    status, content = send(server, V2, v2("INFN Sezione di Pisa", "hello"))
    assert status == 200
    assert [(row["name"], row["datatype"], row["shape"]) for row in content["outputs"]] == [
        ("label", "BYTES", [2]), ("infn", "BOOL", [2]), ("probability", "FP32", [2])]  # fmt: skip
    assert content["outputs"][0]["data"] == ["PI", "Unknown"] and content["outputs"][1]["data"] == [True, False]


@pytest.mark.parametrize(
    ("path", "body", "count"),
    [
        (V1, v1(), 0),
        (V2, v2(), 0),
        (V1, v1(""), 1),
        (V1, v1("INFN \x00\x01\x1b[31m\u202e Bari\r\n"), 1),
        (V2, v2("a\x00b", ""), 2),
        (V2, v2(["INFN Bari"], ["x"], shape=[2, 1]), 2),
        (V1, v1("東京大学, 日本", "Московский университет", "جامعة القاهرة", "🙂"), 4),
        (V1, v1("INFN Bari " * 1_000_000), 1),
        (V1, v1("," * 10_000_000), 1),
        (V1, v1(*["INFN Bari"] * 10_000), 10_000),
        (V2, v2(*["INFN Bari"] * 10_000), 10_000),
    ],
    ids=[
        "v1 empty",
        "v2 empty",
        "empty",
        "control",
        "v2 nul",
        "v2 column",
        "languages",
        "10 MB",
        "commas",
        "v1 10000",
        "v2 10000",
    ],
)
def test_is_answered(server: str, path: str, body: bytes, count: int) -> None:
    status, content = send(server, path, body)
    assert status == 200, content
    rows = content["predictions"] if path == V1 else content["outputs"][0]["data"]
    assert len(rows) == count


@pytest.mark.parametrize(
    ("path", "body", "status", "reason"),
    [
        (V1, v1(1), 400, "instances[0] must be a string, not a number"),
        (V1, v1("a", None), 400, "instances[1] must be a string, not null"),
        (V1, v1(["a"]), 400, "instances[0] must be a string, not a list"),
        (V1, b'{"instances": "INFN"}', 400, "instances must be a list of strings, not a string"),
        (V1, b'{"inputs": []}', 400, 'no key "instances"'),
        (V1, b"[]", 400, "the body must be an object"),
        (V1, b"null", 400, "the body must be an object"),
        (V1, b'{"instances": [', 400, "not JSON"),
        (V1, b"", 400, "not JSON"),
        (V1, b'{"instances": ["\xff\xfe"]}', 400, "not JSON"),
        (V1, b'{"instances": ["\\ud800"]}', 400, "not JSON"),
        (V1, b"[" * 100_000 + b"]" * 100_000, 400, "not JSON"),
        (V1, b'{"instances": ["' + b"x" * (17 * 2**20) + b'"]}', 413, "at most"),
        (V1, v1(*[""] * 20_001), 413, "send them in parts"),
        (V2, b'{"inputs": []}', 400, "one tensor"),
        (V2, b'{"inputs": 3}', 400, 'a list "inputs"'),
        (V2, v2("a", datatype="FP32"), 400, "datatype must be BYTES"),
        (V2, v2("a", shape=[3]), 400, "does not fit its 1 strings"),
        (V2, v2("a", shape=["x"]), 400, "shape must be a list of numbers"),
        (V2, v2(1, 2), 400, "inputs[0].data[0] must be a string"),
        (V2, v2("a", name=3), 400, "name must be a string"),
        (V2, b"[" * 100_000 + b"]" * 100_000, 400, "not JSON"),
        ("/v1/models/other:predict", v1("a"), 404, "other"),
    ],
)
def test_is_refused_with_a_reason(server: str, path: str, body: bytes, status: int, reason: str) -> None:
    given, content = send(server, path, body)
    assert given == status and reason in content["error"]


def test_a_browser_gets_a_page_where_programs_post(server: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(server).netloc, timeout=30)
    connection.request("GET", V1)
    answer = connection.getresponse()
    assert answer.status == 200 and answer.getheader("Content-Type", "").startswith("text/html")
    page = answer.read().decode()
    assert "ReMAT" in page and 'split("\\n")' in page


def test_wrong_content_type_is_refused(server: str) -> None:
    status, content = send(server, V1, v1("INFN Bari"), "image/png")
    assert status == 415 and "application/json" in content["error"]


def test_a_forms_content_type_is_taken_as_json(server: str) -> None:
    status, content = send(server, V1, v1("INFN Bari"), "application/x-www-form-urlencoded")
    assert status == 200 and content["predictions"][0]["label"] == "BA"


@pytest.mark.parametrize("header", ["ce-id", "inference-header-content-length"])
def test_headers_that_change_kserves_reading_do_no_harm(server: str, header: str) -> None:
    for path, body in ((V1, v1("INFN Bari")), (V2, v2("INFN Bari"))):
        status, _ = send(server, path, body, **{header: "nonsense"})
        assert status in (200, 400)
