"""Whether a certificate and a key from files can serve: parsed, each other's, in their time, for the right name."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtensionOID

# What is wrong, and how to mend it.
Fault = tuple[str, str]
PUBLIC = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def faults_of_files(tls: Mapping[str, Any], name: str, now: datetime.datetime) -> dict[str, Fault]:
    """By key of ``kaap_tls``, what is wrong with the content of the files that it names and that can be read.

    :param name: DNS name that a given certificate must cover
    """
    found: dict[str, Fault] = {}
    for prefix, covered in (("", name), ("ca_", "")):
        paths = {key: Path(str(tls.get(prefix + key) or "")) for key in ("certificate", "key")}
        try:
            contents = {key: path.read_bytes() for key, path in paths.items() if path.name}
        except OSError:
            continue  # That it cannot be read is told as such.
        if len(contents) == len(paths):
            pair = faults(contents["certificate"], contents["key"], now, covered)
            found.update({prefix + key: fault for key, fault in pair.items()})
    return found


def faults(certificate: bytes, key: bytes, now: datetime.datetime, name: str = "") -> dict[str, Fault]:
    """What is wrong with ``certificate`` and with ``key``, at most one thing each.

    :param certificate: PEM; the first certificate is the one that is served or signs, the others are its chain
    :param key: PEM
    :param now: with a time zone
    :param name: DNS name that the certificate must cover; empty for an authority, which must be one instead
    """
    found: dict[str, Fault] = {}
    try:
        chain = x509.load_pem_x509_certificates(certificate)
    except ValueError:
        found["certificate"] = ("holds no PEM certificate", "name the file that starts with BEGIN CERTIFICATE")
        chain = []
    try:
        private = serialization.load_pem_private_key(key, None)
    except TypeError:
        found["key"] = ("is encrypted", "give it without a passphrase: nobody is there to type it")
    except (ValueError, UnsupportedAlgorithm):
        found["key"] = ("holds no PEM private key", "name the file with a line BEGIN ... PRIVATE KEY")
    else:
        if chain and chain[0].public_key().public_bytes(*PUBLIC) != private.public_key().public_bytes(*PUBLIC):
            found["key"] = ("is not the key of that certificate", "name the key that the certificate was made for")
    if chain and (fault := _of_chain(chain, now) or _of_purpose(chain[0], name)):
        found["certificate"] = fault
    return found


def _of_chain(chain: list[x509.Certificate], now: datetime.datetime) -> Fault | None:
    """The first certificate of the chain that is out of its time, or that did not sign the one before it."""
    for index, certificate in enumerate(chain):
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            late = now > certificate.not_valid_after_utc
            when = certificate.not_valid_after_utc if late else certificate.not_valid_before_utc
            fault = f"{'expired on' if late else 'is not valid before'} {when:%Y-%m-%d}"
            return fault, "give one that is valid today"
        if index and chain[index - 1].issuer != certificate.subject:
            subject = certificate.subject.rfc4514_string()
            return f"has {subject} in its chain, which did not sign what stands before it", "put the chain in order"
    return None


def _of_purpose(certificate: x509.Certificate, name: str) -> Fault | None:
    """An authority that is none, or a certificate for other names."""
    if not name:
        try:
            extension = certificate.extensions.get_extension_for_oid(ExtensionOID.BASIC_CONSTRAINTS).value
            is_authority = isinstance(extension, x509.BasicConstraints) and extension.ca
        except x509.ExtensionNotFound:
            is_authority = False
        return None if is_authority else ("is no authority: it may sign nothing", "name the certificate of one")
    try:
        found = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
        names = found.get_values_for_type(x509.DNSName) if isinstance(found, x509.SubjectAlternativeName) else []
    except x509.ExtensionNotFound:
        names = []
    if any(covers(each, name) for each in names):
        return None
    fault = f"is for {', '.join(names) or 'no name'} and not for {name}"
    return fault, "have one made for kaap_domain, or correct that"


def covers(pattern: str, name: str) -> bool:
    """Whether a name of a certificate stands for a DNS name: itself, or ``*`` for its first label."""
    pattern, name = pattern.lower(), name.lower()
    return pattern == name or (pattern.startswith("*.") and pattern[2:] == name.partition(".")[2])
