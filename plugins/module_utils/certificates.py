"""The deployment's own certificate authority and the serving certificates it signs.

One authority per deployment lives in ``<state_dir>/ca`` (``ca.crt``, ``ca.key``, PEM, ECDSA P-256). Whoever
needs a certificate first makes it, through :func:`ensure_authority`; nobody else writes those two files.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Loaded = TypeVar("Loaded")

AUTHORITY_DAYS = 3650
LEAF_DAYS = 365
RENEW_DAYS = 30
# A node whose clock is a little behind must accept a certificate that was made a moment ago.
BACKDATE = datetime.timedelta(minutes=5)


class CertificateError(Exception):
    """A certificate or key on disk cannot be used; the text says which file and what to do."""


@dataclass(frozen=True)
class Authority:
    """A certificate authority.

    :ivar certificate: the self-signed certificate.
    :ivar key: its private key.
    :ivar created: True when :func:`ensure_authority` made it (or would make it) in this call.
    """

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    created: bool

    @property
    def pem(self) -> str:
        """The certificate as PEM text."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()


@dataclass(frozen=True)
class Leaf:
    """A serving certificate with its private key, both PEM text."""

    certificate: str
    key: str


def utcnow() -> datetime.datetime:
    """Now, with time zone."""
    return datetime.datetime.now(datetime.UTC)


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Private key as unencrypted PKCS#8 PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def write_file(path: Path, content: bytes, mode: int) -> None:
    """Write a file so that it is whole or absent, and never readable more widely than ``mode``."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _new_authority_certificate(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    now = utcnow()
    # The name is different in every deployment: a browser or a trust store may hold several of them.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"KaaP deployment CA {secrets.token_hex(4)}")])
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + datetime.timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                key_cert_sign=True,
                crl_sign=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )


def ensure_authority(state_dir: Path, *, write: bool = True) -> Authority:
    """Load the deployment's authority, or make it.

    :param state_dir: state directory of the deployment; the files are ``ca/ca.crt`` and ``ca/ca.key`` in it.
    :param write: False in check mode: an authority that is not there is made in memory only.
    :raises CertificateError: when the files are there and do not fit together.
    """
    folder = state_dir / "ca"
    key_path, certificate_path = folder / "ca.key", folder / "ca.crt"
    created = False
    if key_path.exists():
        loaded = _load(key_path, lambda data: serialization.load_pem_private_key(data, password=None))
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            raise CertificateError(f"{key_path} holds no ECDSA key; move {folder} away to start anew")
        key = loaded
    elif certificate_path.exists():
        raise CertificateError(
            f"{certificate_path} is there but its key {key_path} is not; "
            f"put the key back, or move {folder} away to start with a new authority"
        )
    else:
        key = ec.generate_private_key(ec.SECP256R1())
        created = True
        if write:
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
            write_file(key_path, key_pem(key), 0o600)
    if certificate_path.exists():
        certificate = _load(certificate_path, x509.load_pem_x509_certificate)
        if certificate.public_key() != key.public_key():
            raise CertificateError(
                f"{certificate_path} does not belong to {key_path}; move {folder} away to start anew"
            )
    else:
        # Also reached after a run was killed between the two files: nothing was signed yet, the key is good.
        certificate = _new_authority_certificate(key)
        created = True
        if write:
            write_file(certificate_path, certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    return Authority(certificate, key, created)


def _load(path: Path, parse: Callable[[bytes], Loaded]) -> Loaded:
    try:
        return parse(path.read_bytes())
    except ValueError as error:
        raise CertificateError(f"{path} cannot be read as PEM: {error}") from error


def general_name(name: str) -> x509.GeneralName:
    """A subject alternative name: an IP address when it reads as one, else a DNS name."""
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def service_names(service: str, namespace: str, domain: str = "cluster.local") -> list[str]:
    """The DNS names under which a Kubernetes Service is reached inside the cluster."""
    return [
        f"{service}.{namespace}.svc",
        service,
        f"{service}.{namespace}",
        f"{service}.{namespace}.svc.{domain}",
    ]


def issue(authority: Authority, names: list[str], usages: Sequence[str] = ("server",)) -> Leaf:
    """Sign a new serving certificate.

    :param names: DNS names and IP addresses; the first one also becomes the common name.
    :param usages: what it may be used for: ``server``, ``client`` or both.
    :returns: certificate and key; valid for :data:`LEAF_DAYS` days, never longer than the authority.
    """
    if not names:
        raise CertificateError("a serving certificate needs at least one name")
    key = ec.generate_private_key(ec.SECP256R1())
    now = utcnow()
    end = min(now + datetime.timedelta(days=LEAF_DAYS), authority.certificate.not_valid_after_utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])]))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([general_name(name) for name in names]), critical=False)
        .add_extension(_usage(usages), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return Leaf(certificate.public_bytes(serialization.Encoding.PEM).decode(), key_pem(key).decode())


def _usage(usages: Sequence[str]) -> x509.ExtendedKeyUsage:
    known = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}
    return x509.ExtendedKeyUsage([known[usage] for usage in usages])


def why_renew(
    leaf: Leaf,
    authority: Authority,
    names: list[str],
    usages: Sequence[str] = ("server",),
    now: datetime.datetime | None = None,
) -> str:
    """Why a serving certificate has to be replaced.

    :param leaf: what is in use now.
    :param names: the names it has to carry, in any order.
    :param usages: what it has to be usable for, in any order.
    :param now: time of the judgement; the present when None.
    :returns: the reason in words, or an empty string when it can stay.
    """
    moment = now or utcnow()
    try:
        certificate = x509.load_pem_x509_certificate(leaf.certificate.encode())
        key = serialization.load_pem_private_key(leaf.key.encode(), password=None)
        held = set(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
        uses = set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except (ValueError, x509.ExtensionNotFound):
        return "it cannot be read"
    days = (certificate.not_valid_after_utc - moment).days
    faults = {
        "its key does not belong to it": certificate.public_key() != key.public_key(),
        "another authority signed it": not _signed_by(certificate, authority),
        "its names changed": held != {general_name(name) for name in names},
        "its uses changed": uses != set(_usage(usages)),
        f"it has {days} days left": days < RENEW_DAYS,
    }
    return next((fault for fault, found in faults.items() if found), "")


def _signed_by(certificate: x509.Certificate, authority: Authority) -> bool:
    try:
        certificate.verify_directly_issued_by(authority.certificate)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def ensure_files(authority: Authority, folder: Path, name: str, names: list[str], *, write: bool = True) -> str:
    """Keep ``<name>.crt`` and ``<name>.key`` in ``folder`` valid for ``names``.

    :param write: False in check mode: nothing is written.
    :returns: why they were (or would be) written; empty when they stay as they are.
    """
    certificate_path, key_path = folder / f"{name}.crt", folder / f"{name}.key"
    if certificate_path.exists() and key_path.exists():
        reason = why_renew(Leaf(certificate_path.read_text(), key_path.read_text()), authority, names)
    else:
        reason = "it is not there"
    if reason and write:
        leaf = issue(authority, names)
        folder.mkdir(parents=True, exist_ok=True)
        write_file(key_path, leaf.key.encode(), 0o600)
        write_file(certificate_path, leaf.certificate.encode(), 0o644)
    return reason
