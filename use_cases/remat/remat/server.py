"""The predictor: KServe's model server around the model, REST V1 and V2.

    python -m remat.server --model_name remat --model_dir /mnt/models

V1  {"instances": ["INFN Bari", ...]} -> {"predictions": [{"label": "BA", "infn": true, "probability": 0.98}, ...]}
V2  one BYTES input tensor -> output tensors label (BYTES), infn (BOOL), probability (FP32)

Whatever a client sends gets an answer, or a 4xx that says what is wrong with it.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import kserve
import numpy as np
import orjson
from kserve import InferInput, InferOutput, InferRequest, InferResponse, ModelServer
from kserve.errors import InvalidInput
from kserve.model_server import app

from .model import Answer, Model

MAX_BODY = 16 * 2**20
# More than this in one request would keep every other client waiting.
MAX_STRINGS = 20_000
# Between so many strings the server looks at its other connections.
BREATHE = 64

AWKWARD = frozenset((b"content-type", b"content-length", b"inference-header-content-length"))
# curl -d and many clients send a form's type with a JSON body.
JSON_TYPES = frozenset((b"application/json", b"text/json", b"text/plain", b"application/x-www-form-urlencoded", b""))

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class RefusedError(ValueError):
    """A request that cannot be answered: the HTTP status and the reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def strings_of(values: Any, where: str) -> list[str]:
    """Return `values` as the list of strings it should be.

    Raises:
        RefusedError: it is not one, or too long.
    """
    if not isinstance(values, list):
        raise RefusedError(400, f"{where} must be a list of strings, not {_kind(values)}")
    if len(values) > MAX_STRINGS:
        reason = f"{where} has {len(values)} strings, and at most {MAX_STRINGS} are taken at once; send them in parts"
        raise RefusedError(413, reason)
    for at, value in enumerate(values):
        if not isinstance(value, str):
            raise RefusedError(400, f"{where}[{at}] must be a string, not {_kind(value)}")
    return values


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a truth value", int: "a number"}
    names[float] = "a number"
    return "null" if value is None else names.get(type(value), type(value).__name__)


def check_v1(document: Any) -> None:
    """Raise RefusedError unless `document` is a V1 request."""
    if not isinstance(document, dict):
        raise RefusedError(
            400, f'the body must be an object such as {{"instances": ["INFN Bari"]}}, not {_kind(document)}'
        )
    if "instances" not in document:
        raise RefusedError(400, 'the body has no key "instances"')
    strings_of(document["instances"], "instances")


def check_v2(document: Any) -> None:
    """Raise RefusedError unless `document` is a V2 request with one BYTES tensor of strings."""
    if not isinstance(document, dict) or not isinstance(document.get("inputs"), list):
        raise RefusedError(400, 'the body must be an object with a list "inputs"')
    inputs = document["inputs"]
    if len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise RefusedError(400, f"inputs must hold one tensor, not {len(inputs)}")
    tensor = inputs[0]
    if tensor.get("datatype") != "BYTES":
        raise RefusedError(400, f"inputs[0].datatype must be BYTES, not {tensor.get('datatype')!r}")
    if not isinstance(tensor.get("name"), str):
        raise RefusedError(400, "inputs[0].name must be a string")
    shape = tensor.get("shape")
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise RefusedError(400, "inputs[0].shape must be a list of numbers")
    data = tensor.get("data")
    if isinstance(data, list) and data and all(isinstance(row, list) for row in data):
        data = [value for row in data for value in row]
    strings = strings_of(data, "inputs[0].data")
    if len(shape) not in (1, 2) or int(np.prod(shape)) != len(strings):
        raise RefusedError(400, f"inputs[0].shape {shape} does not fit its {len(strings)} strings")
    if any("\x00" in string for string in strings):
        # NumPy cuts such a string short without a word.
        tensor["data"] = [string.replace("\x00", " ") for string in strings]


class Guard:
    """ASGI layer before KServe: reads the body once, and lets through only what KServe can answer.

    KServe 0.21 turns some malformed requests into a 500 and closes the connection.
    """

    def __init__(self, inner: App, name: str) -> None:
        self._inner = inner
        self._checks = {f"/v1/models/{name}:predict": check_v1, f"/v2/models/{name}/infer": check_v2}

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        known = scope["type"] == "http" and scope["path"] in self._checks
        if known and scope["method"] in ("GET", "HEAD"):
            await _answer(send, 200, b"text/html; charset=utf-8", PAGE)
            return
        check = self._checks[scope["path"]] if known and scope["method"] == "POST" else None
        if check is None:
            await self._inner(scope, receive, send)
            return
        try:
            body = await _read(receive)
            document = _parse(body, scope)
            check(document)
            if check is check_v2 and b"\\u0000" in body:
                body = orjson.dumps(document)
        except RefusedError as refused:
            await _refuse(send, refused)
            return
        except ConnectionAbortedError:
            return
        headers = [(key, value) for key, value in scope["headers"] if not _awkward(key)]
        headers += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        scope = {**scope, "headers": headers}

        pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def once() -> Message:
            return pending.pop() if pending else await receive()

        await self._inner(scope, once, send)


def _awkward(header: bytes) -> bool:
    """Return whether a header would make KServe read the body as something else than JSON."""
    return header in AWKWARD or header.startswith(b"ce-")


async def _read(receive: Receive) -> bytes:
    """Return the whole body. One too long is read to its end and dropped, so that the answer reaches the client.

    Raises:
        RefusedError: it is longer than MAX_BODY.
        ConnectionAbortedError: the client went away.
    """
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionAbortedError("the client went away")
        part = message.get("body", b"")
        size += len(part)
        if size <= MAX_BODY:
            parts.append(part)
        else:
            parts.clear()
        if not message.get("more_body", False):
            break
    if size > MAX_BODY:
        raise RefusedError(413, f"the body has {size} bytes, and at most {MAX_BODY} are taken")
    return b"".join(parts)


def _parse(body: bytes, scope: MutableMapping[str, Any]) -> Any:
    """Return the JSON document in `body`; RefusedError if there is none."""
    kind = next((value for key, value in scope["headers"] if key == b"content-type"), b"application/json")
    media = kind.split(b";")[0].strip().lower()
    if media not in JSON_TYPES and not media.endswith(b"+json"):
        raise RefusedError(415, f"the content type must be application/json, not {media.decode('latin-1')[:80]}")
    if any(key == b"inference-header-content-length" for key, _ in scope["headers"]):
        raise RefusedError(400, "binary tensors are not taken; send the strings as JSON")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RefusedError(400, f"the body is not JSON: {error}") from error


async def _refuse(send: Send, refused: RefusedError) -> None:
    await _answer(send, refused.status, b"application/json", orjson.dumps({"error": str(refused)}))


async def _answer(send: Send, status: int, kind: bytes, content: bytes) -> None:
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(content))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


# What a browser shows at the address that programs post to.
PAGE = b"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>ReMAT</title>
<body style="font-family: sans-serif; max-width: 50em; margin: 2em auto">
<h1>ReMAT</h1>
<p>Which INFN structure does an affiliation name? One affiliation a line.</p>
<textarea id="text" rows="6" style="width: 100%">INFN Frascati Natl Labs, I-00044 Frascati, Roma
Univ Siena, Dipartimento Fis, Pisa, Italy</textarea>
<p><button onclick="ask()">Ask</button></p><pre id="answer"></pre>
<p>Programs post JSON to this address: <code>{"instances": ["INFN Bari, Dept Phys, Bari, Italy"]}</code></p>
<script>
async function ask() {
  const instances = document.getElementById("text").value.split("\\n").filter(line => line.trim());
  const path = location.pathname.replace(/\\/v2\\/models\\/([^/]+)\\/infer$/, "/v1/models/$1:predict");
  const headers = {"Content-Type": "application/json"};
  const answer = await fetch(path, {method: "POST", headers, body: JSON.stringify({instances})});
  const found = await answer.json();
  document.getElementById("answer").textContent = found.error || found.predictions.map((row, at) =>
    row.label.padEnd(9) + (row.infn ? "INFN  " : "      ") + row.probability.toFixed(3) + "  " + instances[at]
  ).join("\\n");
}
</script></body></html>
"""


class Remat(kserve.Model):  # type: ignore[misc]  # kserve carries no types
    """KServe's view of the model."""

    def __init__(self, name: str, directory: Path) -> None:
        super().__init__(name)
        self._directory = directory
        self._model: Model | None = None

    def load(self) -> bool:
        """Read the model from its directory."""
        self._model = Model.load(self._directory)
        self._model.predict("INFN Bari, Dept Phys, Bari, Italy")
        self.ready = True
        return self.ready

    async def predict(
        self, payload: dict[str, Any] | InferRequest, headers: dict[str, str] | None = None
    ) -> dict[str, Any] | InferResponse:
        """Answer a V1 or V2 request that Guard let through."""
        try:
            if isinstance(payload, InferRequest):
                tensor: InferInput = payload.inputs[0]
                values = [str(value) for value in tensor.as_numpy().ravel()] if tensor.data else []
                answers = await self._answers(values)
                return _v2(self.name, payload.id, answers)
            answers = await self._answers(strings_of(payload.get("instances"), "instances"))
        except RefusedError as refused:
            raise InvalidInput(str(refused)) from refused
        rows = [{"label": each.label, "infn": each.infn, "probability": round(each.probability, 4)} for each in answers]
        return {"predictions": rows}

    async def _answers(self, texts: list[str]) -> list[Answer]:
        assert self._model is not None  # noqa: S101  load() came first
        if len(texts) <= BREATHE:
            return self._model.predict_many(texts)
        found: list[Answer] = []
        for at in range(0, len(texts), BREATHE):
            found += self._model.predict_many(texts[at : at + BREATHE])
            await asyncio.sleep(0)
        return found

    def get_input_types(self) -> list[dict[str, Any]]:
        """Return the V2 description of the input."""
        return [{"name": "affiliation", "datatype": "BYTES", "shape": [-1]}]

    def get_output_types(self) -> list[dict[str, Any]]:
        """Return the V2 description of the outputs."""
        kinds = (("label", "BYTES"), ("infn", "BOOL"), ("probability", "FP32"))
        return [{"name": name, "datatype": kind, "shape": [-1]} for name, kind in kinds]


def _v2(name: str, request: str | None, answers: list[Answer]) -> InferResponse:
    columns: list[tuple[str, str, list[Any]]] = [
        ("label", "BYTES", [answer.label for answer in answers]),
        ("infn", "BOOL", [answer.infn for answer in answers]),
        ("probability", "FP32", [round(answer.probability, 4) for answer in answers]),
    ]
    outputs = [InferOutput(column, [len(answers)], kind, data=data) for column, kind, data in columns]
    return InferResponse(response_id=request or "", model_name=name, infer_outputs=outputs)


def main() -> int:
    """Serve until told to stop; returns the exit status."""
    parser = argparse.ArgumentParser(parents=[kserve.model_server.parser])
    parser.add_argument("--model_dir", type=Path, default=Path("/mnt/models"), help="directory of the model")
    options, _ = parser.parse_known_args()
    model = Remat(options.model_name, options.model_dir)
    model.load()
    # One line per request would cost a third of the answer.
    for name in ("uvicorn.access", "kserve.trace"):
        logging.getLogger(name).setLevel(logging.WARNING)
    app.add_middleware(Guard, name=options.model_name)
    ModelServer(
        http_port=options.http_port, workers=1, enable_grpc=False, enable_latency_logging=False, event_loop="uvloop"
    ).start([model])
    return 0


if __name__ == "__main__":
    sys.exit(main())
