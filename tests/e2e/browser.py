"""A real browser for the tests: Debian's chromium without a screen, driven through the DevTools protocol over pipes.

https://chromedevtools.github.io/devtools-protocol/ says what the methods take. With `--remote-debugging-pipe` chromium
reads commands from file descriptor 3 and writes answers to 4, each a JSON text that ends with a NUL: no port is open
and no client library is needed.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SECONDS = 60.0
# A root without user name spaces has no sandbox to offer; a test machine shares no memory file system worth using.
OPTIONS = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run",
           "--disable-background-networking", "--disable-component-update", "--no-proxy-server", "--lang=en-US",
           "--window-size=1280,900", "--remote-debugging-pipe"]  # fmt: skip


class BrowserError(Exception):
    """The browser did not do what it was told; the text says what."""


@dataclass
class Answer:
    """What a page's own request came to."""

    url: str
    status: int = 0
    kind: str = ""


@dataclass
class Page:
    """One tab.

    :ivar answers: of the requests for documents, the latest last
    """

    commands: int
    events: int
    session: str = ""
    answers: list[Answer] = field(default_factory=list)
    _buffer: bytes = b""
    _number: int = 0

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method and return its result.

        :raises BrowserError: when the browser refuses or does not answer
        """
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + SECONDS
        while True:
            answer = self._read(deadline, method)
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error'].get('message')}")
                result: dict[str, Any] = answer["result"]
                return result

    def _read(self, deadline: float, what: str) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self.events], [], [], max(0.0, deadline - time.monotonic()))
            chunk = os.read(self.events, 1 << 16) if ready else b""
            if not chunk:
                raise BrowserError(f"{what}: {'the browser ended' if ready else f'no answer within {SECONDS:.0f} s'}")
            self._buffer += chunk
        text, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, method: str, event: dict[str, Any]) -> None:
        if method == "Network.responseReceived" and event["type"] == "Document":
            response = event["response"]
            self.answers.append(Answer(response["url"], response["status"], response["mimeType"]))

    def open(self, url: str) -> Answer:
        """Go to an address and wait until the page is loaded; return the answer to its request.

        :raises BrowserError: when the address cannot be reached at all
        """
        self.answers.clear()
        result = self.send("Page.navigate", url=url)
        if result.get("errorText"):
            raise BrowserError(f"{url}: {result['errorText']}")
        self.until("document.readyState === 'complete'", f"{url} to load")
        return self.answers[-1] if self.answers else Answer(url)

    def run(self, script: str) -> Any:
        """Return the value of an expression in the page; promises are waited for.

        :raises BrowserError: with what it threw
        """
        result = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise BrowserError(f"{script[:80]}: {details.get('exception', {}).get('description') or details['text']}")
        return result["result"].get("value")

    def until(self, condition: str, what: str, seconds: float = SECONDS) -> None:
        """Wait until an expression in the page is true.

        :raises BrowserError: naming what did not come, and where the page is
        """
        deadline = time.monotonic() + seconds
        while not self.run(condition):
            if time.monotonic() > deadline:
                text = str(self.text())[:300]
                raise BrowserError(f"waited {seconds:.0f} s for {what} on {self.run('location.href')}: {text}")
            time.sleep(0.1)

    def text(self) -> str:
        """Return the text that the page shows."""
        return str(self.run("document.body ? document.body.innerText : ''") or "")

    def type(self, selector: str, text: str) -> None:
        """Put the cursor into a field and type, as a person does: pages of today do not notice a value that is set."""
        self.until(f"document.querySelector({json.dumps(selector)}) !== null", f"a field {selector}")
        self.run(f"document.querySelector({json.dumps(selector)}).focus()")
        self.send("Input.insertText", text=text)

    def click(self, selector: str) -> None:
        """Click on an element once it can be clicked on."""
        found = f"document.querySelector({json.dumps(selector)})"
        self.until(f"{found} !== null && !{found}.disabled", f"{selector} that can be clicked")
        self.run(f"{found}.click()")

    def screenshot(self, path: Path) -> None:
        """Write what the page looks like as PNG."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"]))


@contextlib.contextmanager
def chromium(command: str = "chromium") -> Iterator[Page]:
    """Start the browser with a profile of its own, and end it with all that it started.

    :raises BrowserError: when it does not start
    """
    with tempfile.TemporaryDirectory(prefix="kaap-browser-", ignore_cleanup_errors=True) as profile:
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        # The shell gives the pipes the numbers that the protocol wants.
        line = f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}'
        process = subprocess.Popen(
            ["bash", "-c", line, command, *OPTIONS, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=[theirs_in, theirs_out],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": profile},
            start_new_session=True,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        try:
            page = Page(ours_out, ours_in)
            target = page.send("Target.createTarget", url="about:blank")["targetId"]
            page.session = page.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Network", "Runtime"):
                page.send(f"{domain}.enable")
            yield page
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            os.close(ours_out)
            os.close(ours_in)
