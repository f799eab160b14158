"""Commands that talk to package registries, run with the host's own client configuration.

KaaP names no registry: pip, Go and apt find theirs, with proxy and certificates, where this host's
administrator configured them. When one cannot be reached, the error says which configuration to check.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

CONFIGURATION = {
    "pip": "pip's configuration (`pip config list`, PIP_INDEX_URL, PIP_CERT, HTTPS_PROXY)",
    "go": "Go's configuration (`go env GOPROXY GONOSUMDB GOSUMDB`, HTTPS_PROXY, SSL_CERT_FILE)",
    "git": "git's configuration (`git config --show-origin --get-regexp '^(url|http|credential)'`, HTTPS_PROXY)",
    "apt": "apt's configuration (`apt-get update`, /etc/apt/sources.list.d, `apt-config dump Acquire`)",
}
NO_CONNECTION = (
    "connection refused",
    "connection reset",
    "connection timed out",
    "no such host",
    "temporary failure in name resolution",
    "temporary failure resolving",
    "name or service not known",
    "network is unreachable",
    "no route to host",
    "i/o timeout",
    "failed to establish a new connection",
    "newconnectionerror",
    "certificate verify failed",
    "certificate signed by unknown authority",
    "could not connect to",
    "could not resolve",
    "unable to connect",
    "proxyconnect",
    "cannot connect to proxy",
)
# pip's word for an index that gave no page at all
UNREACHABLE = (*NO_CONNECTION, "(from versions: none)")


def die_with_parent() -> None:
    """Ends this process when the one that started it ends, as Ansible's workers do not by themselves."""
    set_parent_death_signal = 1
    ctypes.CDLL(None, use_errno=True).prctl(set_parent_death_signal, signal.SIGKILL)


class CommandError(Exception):
    """A command failed.

    Attributes:
        output: the end of what it printed.
    """

    def __init__(self, message: str, output: str) -> None:
        self.output = output
        super().__init__(message)


def advice(client: str, output: str) -> str:
    """What to check after a client failed, empty when the registry did answer."""
    text = output.lower()
    if any(sign in text for sign in UNREACHABLE):
        return f"The package registry could not be reached; check {CONFIGURATION[client]}."
    return ""


def guarded(arguments: Sequence[str]) -> list[str]:
    """A command that dies with this process: otherwise it goes on after its pack was killed, and two write at once."""
    return [*(["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []), *arguments]


def run(
    command: Sequence[str | Path],
    *,
    client: str = "",
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 3600,
) -> str:
    """Runs a command that dies with this process.

    Args:
        command: argument list.
        client: ``pip``, ``go`` or ``apt``, when it talks to a registry.
        cwd: working directory.
        env: additions to the environment.
        timeout: seconds.

    Returns:
        Standard output.

    Raises:
        CommandError: when it fails or takes too long; says what to check when a registry is unreachable.
    """
    arguments = [str(part) for part in command]
    try:
        done = subprocess.run(
            guarded(arguments),
            cwd=cwd,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"{arguments[0]} took longer than {timeout:.0f} s", str(error.stderr or "")) from error
    except FileNotFoundError as error:
        raise CommandError(f"{arguments[0]} is not installed on this host", "") from error
    if done.returncode != 0:
        output = (done.stdout[-2000:] + done.stderr[-6000:]).strip()
        hint = advice(client, output) if client else ""
        # The hint says it in fewer words than pip, which repeats itself at every try.
        last = "\n".join([line for line in output.splitlines() if not line.startswith("WARNING: Retrying")][-15:])
        raise CommandError(
            f"{Path(arguments[0]).name} failed with exit status {done.returncode}. {hint}\n{last}".strip(), output
        )
    return done.stdout
