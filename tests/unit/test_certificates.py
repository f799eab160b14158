"""The deployment's authority and its serving certificates."""

from __future__ import annotations

import datetime
import stat
from pathlib import Path

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import certificates
from cryptography import x509

NAMES = ["webhook.kueue-system.svc", "webhook", "10.96.0.9"]


@pytest.fixture
def authority(tmp_path: Path) -> certificates.Authority:
    return certificates.ensure_authority(tmp_path)


def test_authority_is_made_once_and_its_key_is_private(tmp_path: Path) -> None:
    first = certificates.ensure_authority(tmp_path)
    second = certificates.ensure_authority(tmp_path)
    assert first.created and not second.created
    assert first.pem == second.pem
    assert stat.S_IMODE((tmp_path / "ca" / "ca.key").stat().st_mode) == 0o600
    assert first.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_two_deployments_share_no_authority(tmp_path: Path) -> None:
    one = certificates.ensure_authority(tmp_path / "one")
    two = certificates.ensure_authority(tmp_path / "two")
    assert one.certificate.subject != two.certificate.subject
    assert one.key.private_numbers() != two.key.private_numbers()


def test_check_mode_writes_nothing(tmp_path: Path) -> None:
    authority = certificates.ensure_authority(tmp_path, write=False)
    assert authority.created
    assert certificates.ensure_files(authority, tmp_path / "ca", "registry", NAMES, write=False)
    assert list(tmp_path.iterdir()) == []


def test_run_killed_between_key_and_certificate_goes_on(tmp_path: Path) -> None:
    first = certificates.ensure_authority(tmp_path)
    (tmp_path / "ca" / "ca.crt").unlink()
    second = certificates.ensure_authority(tmp_path)
    assert second.created
    assert first.key.private_numbers() == second.key.private_numbers()


def test_certificate_without_its_key_is_refused(tmp_path: Path) -> None:
    certificates.ensure_authority(tmp_path)
    (tmp_path / "ca" / "ca.key").unlink()
    with pytest.raises(certificates.CertificateError, match=r"ca\.key is not; put the key back"):
        certificates.ensure_authority(tmp_path)


def test_key_of_another_authority_is_refused(tmp_path: Path) -> None:
    certificates.ensure_authority(tmp_path / "one")
    certificates.ensure_authority(tmp_path / "two")
    (tmp_path / "one" / "ca" / "ca.key").write_bytes((tmp_path / "two" / "ca" / "ca.key").read_bytes())
    with pytest.raises(certificates.CertificateError, match="does not belong to"):
        certificates.ensure_authority(tmp_path / "one")


def test_damaged_key_is_refused(tmp_path: Path) -> None:
    certificates.ensure_authority(tmp_path)
    (tmp_path / "ca" / "ca.key").write_text("-----BEGIN NOTHING-----\n")
    with pytest.raises(certificates.CertificateError, match="cannot be read as PEM"):
        certificates.ensure_authority(tmp_path)


def test_leaf_is_signed_for_its_names(authority: certificates.Authority) -> None:
    leaf = certificates.issue(authority, NAMES)
    certificate = x509.load_pem_x509_certificate(leaf.certificate.encode())
    certificate.verify_directly_issued_by(authority.certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == NAMES[:2]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == NAMES[2:]


def test_good_leaf_stays(authority: certificates.Authority) -> None:
    leaf = certificates.issue(authority, NAMES)
    assert certificates.why_renew(leaf, authority, list(reversed(NAMES))) == ""


def test_leaf_is_renewed_in_its_last_month(authority: certificates.Authority) -> None:
    leaf = certificates.issue(authority, NAMES)
    turn = certificates.utcnow() + datetime.timedelta(days=certificates.LEAF_DAYS - certificates.RENEW_DAYS)
    before, soon = turn - datetime.timedelta(days=1), turn + datetime.timedelta(days=1)
    assert certificates.why_renew(leaf, authority, NAMES, now=before) == ""
    assert "days left" in certificates.why_renew(leaf, authority, NAMES, now=soon)


def test_leaf_is_renewed_when_names_uses_authority_or_key_change(
    authority: certificates.Authority, tmp_path: Path
) -> None:
    leaf = certificates.issue(authority, NAMES)
    other = certificates.ensure_authority(tmp_path / "other")
    foreign = certificates.issue(authority, NAMES)
    assert certificates.why_renew(leaf, authority, NAMES[:1]) == "its names changed"
    assert certificates.why_renew(leaf, authority, NAMES, ("server", "client")) == "its uses changed"
    assert certificates.why_renew(leaf, other, NAMES) == "another authority signed it"
    mixed = certificates.Leaf(leaf.certificate, foreign.key)
    assert certificates.why_renew(mixed, authority, NAMES) == "its key does not belong to it"
    assert certificates.why_renew(certificates.Leaf("", ""), authority, NAMES) == "it cannot be read"


def test_files_are_written_once(authority: certificates.Authority, tmp_path: Path) -> None:
    folder = tmp_path / "ca"
    assert certificates.ensure_files(authority, folder, "registry", NAMES) == "it is not there"
    before = (folder / "registry.crt").read_bytes()
    assert certificates.ensure_files(authority, folder, "registry", NAMES) == ""
    assert (folder / "registry.crt").read_bytes() == before
    assert stat.S_IMODE((folder / "registry.key").stat().st_mode) == 0o600
    assert certificates.ensure_files(authority, folder, "registry", NAMES[:1]) == "its names changed"


def test_names_of_a_service() -> None:
    assert set(certificates.service_names("hook", "ns")) == {
        "hook", "hook.ns", "hook.ns.svc", "hook.ns.svc.cluster.local",
    }  # fmt: skip
