"""A small model, trained once for all tests of this directory, and a server of it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(HERE))
HEADER = "string\tlabel\tinfn\tsource\n"


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory with everything that a small training run leaves."""
    from remat import train

    directory = tmp_path_factory.mktemp("model")
    real = directory / "real.tsv"
    real.write_text(HEADER + "INFN Sezione di Torino, Torino, Italy\tTO\ttrue\thttps://example.org\n", encoding="utf-8")
    options = ["--positives", "700", "--negatives", "700", "--variants", "4", "--jobs", "2"]
    assert train.main([*options, "--real", str(real), "--output", str(directory / "out")]) == 0
    return directory / "out"


@pytest.fixture(scope="session")
def server(trained: Path) -> Iterator[str]:
    """URL of a predictor that serves the small model."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--model_name", "remat", "--model_dir", str(trained), "--http_port", str(port)]
    command = [sys.executable, "-m", "remat.server", *options]
    log = trained / "server.log"
    with log.open("wb") as output:
        environment = {**os.environ, "PYTHONPATH": str(HERE)}
        process = subprocess.Popen(command, cwd=HERE, env=environment, stdout=output, stderr=output)
        url = f"http://127.0.0.1:{port}"
        try:
            deadline = time.monotonic() + 60
            while True:
                assert process.poll() is None, log.read_text()
                try:
                    urllib.request.urlopen(f"{url}/v1/models/remat", timeout=2).close()
                    break
                except (urllib.error.URLError, OSError):
                    assert time.monotonic() < deadline, f"the predictor did not answer in 60 s: {log.read_text()}"
                    time.sleep(0.05)
            yield url
            assert process.poll() is None, "the predictor died during the tests: " + log.read_text()
        finally:
            process.terminate()
            process.wait(30)
