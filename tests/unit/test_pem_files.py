"""Certificates and keys from files: each fault is named with its fix, and a good pair has none."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import certificates, pem_files
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

NAME = "kaap.example.org"
YEARS = datetime.timedelta(days=3650)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> certificates.Authority:
    return certificates.ensure_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def leaf(authority: certificates.Authority) -> certificates.Leaf:
    return certificates.issue(authority, [NAME, "*.models.example.org"])


def judged(leaf: certificates.Leaf, **changes: bytes | str | datetime.datetime) -> dict[str, pem_files.Fault]:
    """What is wrong with a pair after some changes."""
    certificate, key = (changes.get(name, getattr(leaf, name).encode()) for name in ("certificate", "key"))
    assert isinstance(certificate, bytes) and isinstance(key, bytes)
    now, name = changes.get("now", certificates.utcnow()), changes.get("name", NAME)
    assert isinstance(now, datetime.datetime) and isinstance(name, str)
    return pem_files.faults(certificate, key, now, name)


@pytest.mark.parametrize("name", [NAME, NAME.upper(), "a.models.example.org"])
def test_good_pair_has_no_fault(leaf: certificates.Leaf, name: str) -> None:
    assert judged(leaf, name=name) == {}


def test_chain_in_order_has_no_fault(leaf: certificates.Leaf, authority: certificates.Authority) -> None:
    assert judged(leaf, certificate=(leaf.certificate + authority.pem).encode()) == {}


@pytest.mark.parametrize("name", ["other.example.org", "example.org", "a.b.models.example.org", "models.example.org"])
def test_other_names_are_not_covered(leaf: certificates.Leaf, name: str) -> None:
    fault, _ = judged(leaf, name=name)["certificate"]
    assert fault == f"is for {NAME}, *.models.example.org and not for {name}"


def test_time_is_looked_at(leaf: certificates.Leaf) -> None:
    assert judged(leaf, now=certificates.utcnow() + YEARS)["certificate"][0].startswith("expired on 20")
    assert judged(leaf, now=certificates.utcnow() - YEARS)["certificate"][0].startswith("is not valid before 20")


def test_key_of_another_certificate(leaf: certificates.Leaf, authority: certificates.Authority) -> None:
    other = certificates.issue(authority, [NAME])
    found = judged(leaf, key=other.key.encode())
    assert {key: fault for key, (fault, _) in found.items()} == {"key": "is not the key of that certificate"}


def test_what_is_not_pem(leaf: certificates.Leaf) -> None:
    found = judged(leaf, certificate=b"-----BEGIN CERT", key=b"")
    assert [fault for fault, _ in found.values()] == ["holds no PEM certificate", "holds no PEM private key"]


def test_key_with_a_passphrase(leaf: certificates.Leaf) -> None:
    encryption = serialization.BestAvailableEncryption(b"secret")
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )
    assert judged(leaf, key=key)["key"][0] == "is encrypted"


def test_chain_out_of_order(leaf: certificates.Leaf) -> None:
    assert "put the chain in order" in judged(leaf, certificate=leaf.certificate.encode() * 2)["certificate"][1]


def test_authority_must_be_one(leaf: certificates.Leaf, authority: certificates.Authority) -> None:
    assert judged(leaf, name="")["certificate"][0] == "is no authority: it may sign nothing"
    assert pem_files.faults(authority.pem.encode(), certificates.key_pem(authority.key), certificates.utcnow()) == {}


def test_files_of_both_pairs(tmp_path: Path, leaf: certificates.Leaf) -> None:
    (tmp_path / "certificate").write_text(leaf.certificate)
    (tmp_path / "key").write_text(leaf.key)
    pair = {name: str(tmp_path / name) for name in ("certificate", "key")}
    tls = {**pair, **{f"ca_{name}": path for name, path in pair.items()}}
    assert set(pem_files.faults_of_files(tls, NAME, certificates.utcnow())) == {"ca_certificate"}
    assert set(pem_files.faults_of_files(tls, "else.example.org", certificates.utcnow())) == {
        "certificate",
        "ca_certificate",
    }
    # What cannot be read is told by the one who looked at the files.
    assert pem_files.faults_of_files(
        {**tls, "key": "/nothing"}, NAME, certificates.utcnow()
    ) == pem_files.faults_of_files(
        {name: path for name, path in tls.items() if name.startswith("ca_")}, NAME, certificates.utcnow()
    )
    assert pem_files.faults_of_files({"mode": "private_ca"}, NAME, certificates.utcnow()) == {}
