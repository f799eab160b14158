#!/usr/bin/python
"""Ansible module: keep a set of small files, in one call."""

from __future__ import annotations

import contextlib
import os
import pwd
import tempfile
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: files
short_description: Keep a set of small files and links, in one call
description:
  - What M(ansible.builtin.template), M(ansible.builtin.copy) and M(ansible.builtin.file) do one file at a time, each with two
    calls to the host. A machine of the cluster has about twenty such files.
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
  read_by:
    description:
      - The systemd unit that reads the files when it starts.
      - While it runs since before one of the files was last written, the task reports a change, so that its handler
        restarts the unit. That is the case when an earlier run was killed between writing and restarting.
    type: str
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
- name: Configure the service
  infn.kaap.files:
    read_by: service
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
  description: Whether the unit O(read_by) runs with files that are older than those on disk.
  type: bool
  returned: success
"""


def wanted_content(item: dict[str, Any]) -> bytes | None:
    """Return the content that a file must have, None for a link."""
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
    if item["content"] is None:
        return {**header, "before": "a secret, or nothing\n", "after": "another secret\n"}
    before = (present_content(path) or b"").decode(errors="replace")
    after = str(item["content"])
    if before == after:
        return {**header, "before": "another owner or mode\n", "after": f"{item['owner'] or 'own'} {item['mode']}\n"}
    return {**header, "before": before, "after": after}


def started(properties: str) -> int | None:
    """Return when an active unit became active (seconds since the epoch), None for one that is not active.

    :param properties: what ``systemctl show --property=ActiveState,ActiveEnterTimestamp --timestamp=unix`` printed
    """
    found = dict(line.split("=", 1) for line in properties.splitlines() if "=" in line)
    stamp = found.get("ActiveEnterTimestamp", "").removeprefix("@")
    return int(stamp) if found.get("ActiveState") == "active" and stamp.isdigit() else None


def stale(since: int | None, paths: list[Path]) -> bool:
    """Tell whether one of the files was written in a later second than the unit was started in."""
    return since is not None and any(int(path.lstat().st_mtime) > since for path in paths if os.path.lexists(path))


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
                    "link": {"type": "str"},
                    "mode": {"type": "str", "default": "0644"},
                    "owner": {"type": "str"},
                },
                "mutually_exclusive": [["content", "secret", "link"]],
                "required_one_of": [["content", "secret", "link"]],
            },
            "read_by": {"type": "str"},
        },
        supports_check_mode=True,
    )
    changed = [item for item in module.params["files"] if differs(item)]
    diff = [difference(item) for item in changed]
    old = False
    if module.params["read_by"]:
        show = ["systemctl", "show", "--property=ActiveState,ActiveEnterTimestamp", "--timestamp=unix"]
        _, printed, _ = module.run_command([*show, module.params["read_by"]], check_rc=True)
        old = stale(started(printed), [Path(item["dest"]) for item in module.params["files"]])
    if not module.check_mode:
        for item in changed:
            try:
                write(item)
            except (OSError, KeyError, ValueError) as problem:
                module.fail_json(msg=f"cannot write {item['dest']}: {problem}")
    module.exit_json(changed=bool(changed) or old, stale=old, files=[item["dest"] for item in changed], diff=diff)


if __name__ == "__main__":
    main()
