"""A real API server with its etcd and a few controllers, and nothing else: enough for all that needs no kubelet."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import shutil
import signal
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import yaml
from ansible_collections.infn.kaap.plugins.module_utils import certificates, deployment
from ansible_collections.infn.kaap.plugins.module_utils.kube import KubeClient, KubeError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60
PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager")


def packed_bundle() -> Path | None:
    """The bundle that the default deployment was packed with."""
    try:
        facts = deployment.describe([str(ROOT / "inventories" / "embedded")])
        digest = str(deployment.bundle_manifest(facts["state_dir"])["digest"]).removeprefix("sha256:")
    except deployment.NotPackedError:
        return None
    return Path(str(facts["cache"])) / "bundles" / digest


def _take_from_image(bundle: Path, name: str, folder: Path) -> None:
    """Take a program out of the image registry.k8s.io/<name> in the bundle's registry."""
    store = bundle / "registry" / "docker" / "registry" / "v2"
    (tag,) = (store / "repositories" / "registry.k8s.io" / name / "_manifests" / "tags").iterdir()

    def blob(digest: str) -> Path:
        algorithm, _, value = digest.partition(":")
        return store / "blobs" / algorithm / value[:2] / value / "data"

    manifest = json.loads(blob((tag / "current" / "link").read_text()).read_text())
    for layer in manifest["layers"]:
        with tarfile.open(blob(layer["digest"])) as archive:
            for member in archive:
                if member.isfile() and Path(member.name).name == name:
                    content = archive.extractfile(member)
                    assert content is not None
                    with (folder / name).open("wb") as target:
                        shutil.copyfileobj(content, target)
                    (folder / name).chmod(0o755)
                    return
    raise AssertionError(f"the image of {name} holds no program of that name")


def programs(folder: Path) -> Path | None:
    """A directory with etcd and the control plane's programs: KAAP_TEST_BIN, or taken from the bundle.

    :param folder: where to put what is taken from the bundle.
    :returns: None when nothing is packed.
    """
    if os.environ.get("KAAP_TEST_BIN"):
        return Path(os.environ["KAAP_TEST_BIN"])
    bundle = packed_bundle()
    if bundle is None:
        return None
    for name in PROGRAMS:
        _take_from_image(bundle, name, folder)
    return folder


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _client_certificate(authority: certificates.Authority) -> certificates.Leaf:
    """A certificate of a cluster administrator."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = certificates.utcnow()
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:masters"),
            x509.NameAttribute(NameOID.COMMON_NAME, "admin"),
        ]
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - certificates.BACKDATE)
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return certificates.Leaf(
        certificate.public_bytes(serialization.Encoding.PEM).decode(), certificates.key_pem(key).decode()
    )


def _kubeconfig(server: str, folder: Path) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": server, "certificate-authority": str(folder / "ca.crt")}}],
        "users": [
            {
                "name": "admin",
                "user": {"client-certificate": str(folder / "admin.crt"), "client-key": str(folder / "admin.key")},
            }
        ],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
    }


@contextlib.contextmanager
def running(programs: Path, base: Path) -> Iterator[Path]:
    """A kubeconfig of an administrator; the servers behind it live as long as the context.

    :param programs: directory with the programs.
    :param base: directory for data, certificates and the log.
    """
    authority = certificates.ensure_authority(base)
    folder = base / "ca"
    certificates.ensure_files(authority, folder, "apiserver", ["127.0.0.1", "localhost"])
    admin = _client_certificate(authority)
    (folder / "admin.crt").write_text(admin.certificate)
    (folder / "admin.key").write_text(admin.key)
    client_port, peer_port, api_port = free_ports(3)
    etcd = [
        str(programs / "etcd"), "--data-dir", str(base / "etcd"), "--log-level", "error", "--unsafe-no-fsync",
        "--listen-client-urls", f"http://127.0.0.1:{client_port}",
        "--advertise-client-urls", f"http://127.0.0.1:{client_port}",
        "--listen-peer-urls", f"http://127.0.0.1:{peer_port}",
    ]  # fmt: skip
    api = [
        str(programs / "kube-apiserver"), "--etcd-servers", f"http://127.0.0.1:{client_port}",
        "--bind-address", "127.0.0.1", "--secure-port", str(api_port), "--advertise-address", "127.0.0.1",
        "--service-cluster-ip-range", "10.96.0.0/16", "--authorization-mode", "RBAC",
        # Without kube-proxy no service address works: webhooks are called at their endpoints.
        "--enable-aggregator-routing=true",
        "--client-ca-file", str(folder / "ca.crt"),
        "--tls-cert-file", str(folder / "apiserver.crt"), "--tls-private-key-file", str(folder / "apiserver.key"),
        "--service-account-issuer", "https://kubernetes.default.svc",
        "--service-account-key-file", str(folder / "apiserver.crt"),
        "--service-account-signing-key-file", str(folder / "apiserver.key"),
    ]  # fmt: skip
    server = f"https://127.0.0.1:{api_port}"
    path = base / "kubeconfig"
    path.write_text(yaml.safe_dump(_kubeconfig(server, folder)))
    # The controllers that these tests need: garbage collection, namespaces, nothing that makes pods run.
    manager = [
        str(programs / "kube-controller-manager"), "--kubeconfig", str(path), "--leader-elect=false",
        "--controllers", "garbage-collector-controller,namespace-controller,serviceaccount-controller,"
        "resourcequota-controller,clusterrole-aggregation-controller,"
        "persistentvolumeclaim-protection-controller",
        "--secure-port", "0", "--use-service-account-credentials=false",
    ]  # fmt: skip
    started: list[subprocess.Popen[bytes]] = []
    log = (base / "log").open("wb")
    try:
        for command in (etcd, api):
            started.append(subprocess.Popen(command, stdout=log, stderr=log))
        client = KubeClient.from_kubeconfig(path)
        deadline = time.monotonic() + START_SECONDS
        while not _answers(client):
            assert time.monotonic() < deadline and all(each.poll() is None for each in started), (
                f"the API server does not answer: {(base / 'log').read_text()[-2000:]}"
            )
        started.append(subprocess.Popen(manager, stdout=log, stderr=log))
        yield path
    finally:
        for process in reversed(started):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(20)
        log.close()


def _answers(client: KubeClient) -> bool:
    try:
        status, _ = client.raw("GET", "/readyz")
    except KubeError:
        return False
    return status == 200
