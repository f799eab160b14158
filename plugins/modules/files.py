#!/usr/bin/python
"""Ansible module: keep a set of small files, in one call."""

from __future__ import annotations

import contextlib
import datetime
import os
import pwd
import socket
import tempfile
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.infn.kaap.plugins.module_utils import units

DOCUMENTATION = r"""
module: files
short_description: Keep a set of small files and links, and the unit that reads them, in one call
description:
  - What M(ansible.builtin.template), M(ansible.builtin.copy) and M(ansible.builtin.file) do one file at a time, each with two
    calls to the host, and M(ansible.builtin.systemd_service) in two more for a unit and for its handler. A machine of the
    cluster has about twenty such files.
  - Directories above a file are made with mode 0755. Files are replaced by rename, so that a reader never sees half of one.
options:
  files:
    description: The files and links.
    type: list
    elements: dict
    required: true
    suboptions:
      dest:
        description: Absolute path.
        type: path
        required: true
      content:
        description: Text of the file.
        type: str
      secret:
        description: Text of the file that is never shown.
        type: str
      block:
        description: Lines that the file has between two marks of KaaP; what others wrote around them stays.
        type: str
      link:
        description: The path is a symbolic link to this one.
        type: str
      mode:
        description: Permission bits, in octal.
        type: str
        default: "0644"
      owner:
        description: Name of the user, whose primary group the file gets as well. By default the user who runs the task.
        type: str
      restart:
        description: Whether O(unit) has to be started again to see a change of the file. False for what it reads at each use.
        type: bool
        default: true
  load:
    description:
      - Command, as a list, that makes the files effective. It runs at every call, because an earlier run may have been killed
        between writing and loading, and counts as no change. Not in check mode.
    type: list
    elements: str
  unit:
    description: The systemd unit that reads the files when it starts.
    type: dict
    suboptions:
      name:
        description: Its name.
        type: str
        required: true
      state:
        description:
          - V(started) means that it runs and has read the files. It is restarted when one of them changed, or was written
            after it had started, which is so when an earlier run was killed between writing and restarting.
          - V(starting) starts it where it does not run, and does not wait for that.
          - V(left) starts and restarts nothing.
        type: str
        choices: [started, starting, left]
        default: started
      enabled:
        description: Whether it starts with the machine. False leaves that as it is.
        type: bool
        default: true
      listens:
        description: Address and port, C(HOST:PORT), that answer when a unit that was started or restarted is ready.
        type: str
      timeout:
        description: Seconds to wait for that.
        type: int
        default: 30
attributes:
  check_mode:
    description: Changes nothing and says what would change.
    support: full
  diff_mode:
    description: Shows the difference of texts, but not of secrets.
    support: full
author: KaaP maintainers
"""
EXAMPLES = r"""
- name: Configure and run the service
  infn.kaap.files:
    unit:
      name: service
      listens: 10.0.0.1:8080
    files:
      - dest: /etc/service/config.yml
        content: "{{ lookup('ansible.builtin.template', 'config.yml.j2') }}"
      - dest: /etc/service/tls.key
        secret: "{{ lookup('ansible.builtin.file', key, rstrip=false) }}"
        mode: "0400"
        owner: service
      - dest: /usr/local/bin/service
        link: /opt/service/bin/service
"""
RETURN = r"""
files:
  description: Paths that were changed, or would be in check mode.
  type: list
  elements: str
  returned: success
stale:
  description: Whether the unit ran with files that are older than those on disk.
  type: bool
  returned: success
cmd:
  description: The commands that changed the unit or loaded the files, joined by C(&&).
  type: str
  returned: when there were any
delta:
  description: How long they took, with the wait for the unit, as M(ansible.builtin.command) writes it.
  type: str
  returned: when there were any
"""


MARKS = ("# BEGIN KaaP", "# END KaaP")
# Pause between two looks at a port; nobody is told when it opens.
POLL_SECONDS = 0.05


def with_block(text: str, block: str) -> str:
    """Return the text with the block between the marks: where they are, or at its end."""
    begin, end = MARKS
    lines = text.removesuffix("\n").split("\n") if text else []
    wanted = [begin, *block.removesuffix("\n").split("\n"), end]
    if begin in lines and end in lines[lines.index(begin) :]:
        first = lines.index(begin)
        last = lines.index(end, first)
        lines[first : last + 1] = wanted
    else:
        lines += wanted
    return "\n".join(lines) + "\n"


def wanted_content(item: dict[str, Any]) -> bytes | None:
    """Return the content that a file must have, None for a link."""
    if item["block"] is not None:
        present = (present_content(Path(item["dest"])) or b"").decode(errors="surrogateescape")
        return with_block(present, item["block"]).encode(errors="surrogateescape")
    text = item["content"] if item["content"] is not None else item["secret"]
    return None if text is None else str(text).encode()


def present_content(path: Path) -> bytes | None:
    """Return the content of a regular file, None when there is none."""
    if path.is_symlink() or not path.is_file():
        return None
    return path.read_bytes()


def user(name: str | None) -> tuple[int, int] | None:
    """Return user and group number, None when there is no such user."""
    if name is None:
        return os.geteuid(), os.getegid()
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return entry.pw_uid, entry.pw_gid


def differs(item: dict[str, Any]) -> bool:
    """Tell whether the file or link on the host is not what is wanted."""
    path = Path(item["dest"])
    if item["link"] is not None:
        return not path.is_symlink() or str(path.readlink()) != item["link"]
    if present_content(path) != wanted_content(item):
        return True
    found = path.stat()
    return (found.st_uid, found.st_gid) != user(item["owner"]) or found.st_mode & 0o7777 != int(item["mode"], 8)


def write(item: dict[str, Any]) -> None:
    """Make the file or link what is wanted.

    :raises OSError: when it cannot be written
    :raises KeyError: when its owner does not exist
    """
    path = Path(item["dest"])
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    if item["link"] is not None:
        scratch = path.with_name(f".{path.name}.{os.getpid()}")
        scratch.symlink_to(item["link"])
        scratch.replace(path)
        return
    owner = user(item["owner"])
    if owner is None:
        raise KeyError(f"{path}: there is no user {item['owner']}")
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(wanted_content(item) or b"")
            os.fchown(stream.fileno(), *owner)
            os.fchmod(stream.fileno(), int(item["mode"], 8))
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def difference(item: dict[str, Any]) -> dict[str, str]:
    """Return Ansible's diff of one file; of a secret only that it changes."""
    path = Path(item["dest"])
    header = {"before_header": item["dest"], "after_header": item["dest"]}
    if item["link"] is not None:
        before = f"link to {path.readlink()}\n" if path.is_symlink() else "no link\n"
        return {**header, "before": before, "after": f"link to {item['link']}\n"}
    if item["secret"] is not None:
        return {**header, "before": "a secret, or nothing\n", "after": "another secret\n"}
    before = (present_content(path) or b"").decode(errors="replace")
    after = (wanted_content(item) or b"").decode(errors="replace")
    if before == after:
        return {**header, "before": "another owner or mode\n", "after": f"{item['owner'] or 'own'} {item['mode']}\n"}
    return {**header, "before": before, "after": after}


def listening(address: str) -> bool:
    """Tell whether something answers at an address (``HOST:PORT``)."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=1):
            return True
    except OSError:
        return False


def wait_for(address: str, timeout: float) -> bool:
    """Wait until something answers at an address; false when nothing did in so many seconds."""
    deadline = time.monotonic() + timeout
    while not listening(address):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def run(module: AnsibleModule, commands: list[list[str]], unit: dict[str, Any] | None) -> dict[str, str]:
    """Run the commands, then wait for the unit; return what was run and how long it took, as the command module does."""
    start = time.monotonic()
    hint = f"; see journalctl --unit {unit['name']}" if unit else ""
    for command in commands:
        code, _, said = module.run_command(command)
        if code:
            module.fail_json(msg=f"`{' '.join(command)}` failed: {said.strip()}{hint}")
    started = unit is not None and any(command[1] in ("start", "restart") for command in commands)
    if unit and started and unit["listens"] and not wait_for(unit["listens"], unit["timeout"]):
        module.fail_json(msg=f"{unit['name']} does not listen on {unit['listens']} after {unit['timeout']} s{hint}")
    if not commands:
        return {}
    took = datetime.timedelta(seconds=time.monotonic() - start)
    return {"cmd": " && ".join(" ".join(command) for command in commands), "delta": str(took)}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "files": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "dest": {"type": "path", "required": True},
                    "content": {"type": "str"},
                    "secret": {"type": "str", "no_log": True},
                    "block": {"type": "str"},
                    "link": {"type": "str"},
                    "mode": {"type": "str", "default": "0644"},
                    "owner": {"type": "str"},
                    "restart": {"type": "bool", "default": True},
                },
                "mutually_exclusive": [["content", "secret", "block", "link"]],
                "required_one_of": [["content", "secret", "block", "link"]],
            },
            "load": {"type": "list", "elements": "str"},
            "unit": {
                "type": "dict",
                "options": {
                    "name": {"type": "str", "required": True},
                    "state": {"type": "str", "choices": list(units.STATES), "default": units.STARTED},
                    "enabled": {"type": "bool", "default": True},
                    "listens": {"type": "str"},
                    "timeout": {"type": "int", "default": 30},
                },
            },
        },
        supports_check_mode=True,
    )
    keep(module, module.params["files"], module.params["unit"], module.params["load"])


def keep(
    module: AnsibleModule, wanted: list[dict[str, Any]], unit: dict[str, Any] | None, load: list[str] | None
) -> None:
    """Write the files, load them, and see to the unit; end the module."""
    changed = [item for item in wanted if differs(item)]
    diff = [difference(item) for item in changed]
    reread: list[str] = []
    changing: list[list[str]] = []
    old = False
    if unit:
        _, printed, _ = module.run_command([*units.SHOW, unit["name"]], check_rc=True)
        found = units.state(printed)
        old = units.stale(found.since, [Path(item["dest"]) for item in wanted if item["restart"]])
        reread = units.rereading(found, [item["dest"] for item in changed])
        changing = units.changing(
            unit["name"],
            found,
            wanted=unit["state"],
            enabled=unit["enabled"],
            read_again=old or any(item["restart"] for item in changed),
        )
    ran: dict[str, str] = {}
    if not module.check_mode:
        for item in changed:
            try:
                write(item)
            except (OSError, KeyError, ValueError) as problem:
                module.fail_json(msg=f"cannot write {item['dest']}: {problem}")
        ran = run(module, [command for command in (load, reread, *changing) if command], unit)
    module.exit_json(
        changed=bool(changed or changing), stale=old, files=[item["dest"] for item in changed], diff=diff, **ran
    )


if __name__ == "__main__":
    main()
