"""Files with secrets that settings name: needed to install, not to render."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.infn.kaap.plugins.action import preflight


def test_secret_that_is_not_there_yet_stops_only_an_installation(tmp_path: Path) -> None:
    path = str(tmp_path / "secret")
    given = {"kaap_oidc": {"client_secret_file": path}}
    faults, absent = preflight.unreadable(given, installs=True)
    assert "No such file" in faults[path]
    assert absent == []
    assert preflight.unreadable(given, installs=False) == ({}, [path])


def test_secret_that_everybody_can_read_is_refused_in_any_case(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("x")
    path.chmod(0o644)
    for installs in (True, False):
        faults, absent = preflight.unreadable({"kaap_oidc": {"client_secret_file": str(path)}}, installs=installs)
        assert list(faults) == [str(path)]
        assert absent == []


def test_no_file_is_named() -> None:
    assert preflight.unreadable({"kaap_oidc": {"client_secret_file": ""}}, installs=True) == ({}, [])


def test_files_of_a_certificate_are_looked_at(tmp_path: Path) -> None:
    tls = {"certificate": str(tmp_path / "tls.crt"), "key": str(tmp_path / "tls.key")}
    for installs in (True, False):
        faults, absent = preflight.unreadable({"kaap_tls": {**tls, "ca_key": None}}, installs=installs)
        assert sorted(faults) == sorted(tls.values())
        assert absent == []
    for path in (tmp_path / "tls.crt", tmp_path / "tls.key"):
        path.write_text("x")
        path.chmod(0o644)
    # What everybody gets to see may be read by everybody.
    faults, _ = preflight.unreadable({"kaap_tls": tls}, installs=True)
    assert faults == {tls["key"]: "can be read by others than its owner"}
    found = preflight.certificate_faults({"kaap_tls": tls, "kaap_domain": "kaap.example.org"})
    assert [fault for fault, _ in found.values()] == ["holds no PEM certificate", "holds no PEM private key"]
    assert preflight.certificate_faults({"kaap_tls": "wrong"}) == {}
