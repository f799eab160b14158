"""How fast the predictor is: latency, and single predictions per second of its own CPU time.

    python use_cases/remat/benchmark.py http://127.0.0.1:8080 --pid 1234          # a process
    python use_cases/remat/benchmark.py URL --cgroup /sys/fs/cgroup/.../cpu.stat   # a pod

One connection, kept alive, one string per request, V1. CPU time is user and system time of the server's process
(/proc/PID/stat, with its threads) or cgroup, read before and after; without either only latency is told.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

STRINGS = (
    "INFN Frascati Natl Labs, I-00044 Frascati, Roma",
    "INFN Bari, Dept Phys, Bari, Italy",
    "Univ Siena, Dipartimento Fis, Pisa, Italy",
    "1NFN Sez, Laab Nazl Frascati",
    "Dipartimento di Fisica, Università di Genova and INFN, Sezione di Genova, Via Dodecaneso 33, 16146 Genova, Italy",
    "CNRS/IN2P3, Institut de Physique Nucléaire, Orsay, France",
)


def process_seconds(pid: int) -> float:
    """Return the CPU time of a process, in seconds (proc(5), fields utime and stime)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cgroup_seconds(path: Path) -> float:
    """Return the CPU time of a cgroup, in seconds, from cpu.stat (v2) or cpuacct.usage (v1)."""
    text = path.read_text(encoding="ascii")
    if path.name == "cpu.stat":
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("usage_usec ")) / 1e6
    return int(text) / 1e9


def measure(url: str, name: str, requests: int, pid: int | None, cgroup: Path | None) -> dict[str, float | int]:
    """Send `requests` single predictions and return the figures (milliseconds, per second).

    Raises:
        RuntimeError: an answer is not 200.
    """
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    path = f"{parts.path.rstrip('/')}/v1/models/{name}:predict"
    bodies = [json.dumps({"instances": [text]}).encode() for text in STRINGS]

    def seconds() -> float:
        return cgroup_seconds(cgroup) if cgroup else process_seconds(pid) if pid else 0.0

    times: list[float] = []
    warm = 200
    before = started = 0.0
    for at in range(requests + warm):
        if at == warm:
            before, started = seconds(), time.perf_counter()
        begin = time.perf_counter()
        connection.request("POST", path, bodies[at % len(bodies)], {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{url} answered {answer.status}: {content[:200]!r}")
        if at >= warm:
            times.append(1000 * (time.perf_counter() - begin))
    wall, used = time.perf_counter() - started, seconds() - before
    times.sort()
    found: dict[str, float | int] = {
        "requests": requests,
        "p50_ms": round(times[len(times) // 2], 3),
        "p99_ms": round(times[int(len(times) * 0.99)], 3),
        "per_second": round(requests / wall, 1),
    }
    if used:
        found |= {"cpu_seconds": round(used, 3), "per_cpu_second": round(requests / used, 1)}
    return found


def main() -> int:
    """Run the benchmark and print one JSON line; returns 1 if `--least` per CPU-second is not reached."""
    parser = argparse.ArgumentParser(description="Benchmark the ReMAT predictor.")
    parser.add_argument("url")
    parser.add_argument("--name", default="remat")
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--pid", type=int, help="process of the server")
    parser.add_argument("--cgroup", type=Path, help="cpu.stat (cgroup v2) or cpuacct.usage (v1) of the server")
    parser.add_argument("--least", type=float, default=0.0, help="predictions per CPU-second that are demanded")
    options = parser.parse_args()
    found = measure(options.url, options.name, options.requests, options.pid, options.cgroup)
    print(json.dumps(found))
    if options.least and found.get("per_cpu_second", 0.0) < options.least:
        print(f"fewer than {options.least} predictions per CPU-second", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
