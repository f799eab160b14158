"""Images: the same inputs give the same digest, and the store is what a registry serves."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import tarfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import bundle as bundles
from ansible_collections.infn.kaap.plugins.module_utils import oci
from ansible_collections.infn.kaap.plugins.module_utils.cache import Cache

NOTES = oci.labels(title="t", version="1", source="https://example.org", licence="Apache-2.0", description="d")


def image(cache: Cache, *layers: oci.Layer) -> oci.Image:
    """An image with these layers."""
    blobs = [oci.store_layer(cache, layer) for layer in layers]
    return oci.assemble(
        cache, "docker.io/example/hello:v1", blobs, user=65532, annotations=NOTES, entrypoint=["/hello"]
    )


def layer(source: Path, names: tuple[str, ...]) -> oci.Layer:
    """A layer with files added in this order."""
    made = oci.Layer()
    for name in names:
        made.file(name, source, mode=0o755)
    made.link("/bin/link", "b")
    made.directory("/tmp", mode=0o1777)
    return made


def test_same_inputs_same_digest_whatever_order_time_and_place(tmp_path: Path) -> None:
    digests = set()
    for i, names in enumerate([("/bin/a", "/bin/b"), ("/bin/b", "/bin/a")]):
        source = tmp_path / f"source{i}"
        source.write_text("content")
        os.utime(source, (i, i))
        digests.add(image(Cache(tmp_path / f"cache{i}"), layer(source, names)).manifest.sha256)
    assert len(digests) == 1


def test_other_content_other_digest(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    digests = set()
    for text in ("a", "b"):
        made = oci.Layer()
        made.text("/f", text)
        digests.add(image(cache, made).manifest.sha256)
    assert len(digests) == 2


def test_layer_holds_parents_modes_and_numeric_owners(tmp_path: Path) -> None:
    source = tmp_path / "x"
    source.write_text("x")
    stream = io.BytesIO()
    made = layer(source, ("/a/b/c",))
    made.directory("/home/nonroot", mode=0o700, user=65532)
    made.write(stream)
    stream.seek(0)
    with tarfile.open(fileobj=stream) as tar:
        members = {m.name: m for m in tar.getmembers()}
    assert {"a", "a/b", "a/b/c", "bin", "bin/link", "home", "home/nonroot", "tmp"} == set(members)
    assert (members["a/b/c"].mode, members["tmp"].mode, members["home/nonroot"].uid) == (0o755, 0o1777, 65532)
    assert {m.mtime for m in members.values()} == {0}
    assert {m.uname for m in members.values()} == {""}


def test_configuration_names_a_numeric_user_and_the_labels(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    made = image(cache, oci.Layer())
    config = json.loads(cache.blob(made.config.sha256).read_text())
    manifest = json.loads(cache.blob(made.manifest.sha256).read_text())
    assert config["config"]["User"] == "65532"
    assert config["config"]["Labels"] == manifest["annotations"] == NOTES
    assert config["rootfs"]["diff_ids"] == [entry["digest"] for entry in manifest["layers"]]


def root_tar(path: Path, entries: dict[str, bytes], mtime: int = 5) -> Path:
    """A root file system as mmdebstrap writes it."""
    with tarfile.open(path, "w") as tar:
        for name, content in entries.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size, info.mtime = len(content), mtime
            tar.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("./hard")
        link.type, link.linkname, link.mtime = tarfile.LNKTYPE, f"./{next(iter(entries))}", mtime
        tar.addfile(link)
    return path


def names(cache: Cache, blob: oci.Blob) -> dict[str, tarfile.TarInfo]:
    """Members of a layer."""
    with tarfile.open(cache.blob(blob.sha256)) as tar:
        return {m.name: m for m in tar.getmembers()}


def test_repack_is_deterministic_and_drops_what_is_named(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    files = {"b": b"1", "usr/share/doc/x/copyright": b"c", "usr/share/doc/x/README": b"r", "var/log/y": b"y"}
    drop = ("/usr/share/doc/*", "/var/log/*")
    one = oci.repack(cache, root_tar(tmp_path / "1.tar", files, 5), drop=drop, latest=3)
    two = oci.repack(cache, root_tar(tmp_path / "2.tar", files, 9), drop=drop, latest=3)
    assert one == two
    found = names(cache, one)
    assert set(found) == {"b", "hard", "usr/share/doc/x/copyright"}
    assert found["hard"].isreg()
    assert found["hard"].size == 1


def test_repack_on_top_holds_only_what_differs(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    lower = oci.repack(cache, root_tar(tmp_path / "1.tar", {"a": b"1", "b": b"1"}))
    upper = root_tar(tmp_path / "2.tar", {"a": b"1", "b": b"2", "c": b"3"})
    assert set(names(cache, oci.repack(cache, upper, below=cache.blob(lower.sha256)))) == {"b", "c"}
    with pytest.raises(ValueError, match="the lower layer has /b"):
        oci.repack(cache, root_tar(tmp_path / "3.tar", {"a": b"1"}), below=cache.blob(lower.sha256))


def registry_binary() -> Path | None:
    """The registry of a bundle that this user's cache holds."""
    root = Path(os.environ.get("KAAP_CACHE") or Path.home() / ".cache" / "kaap")
    return next(iter(sorted(root.glob("bundles/*/bin/registry"))), None)


def test_store_is_served_by_the_real_registry(tmp_path: Path) -> None:
    binary = registry_binary()
    if binary is None:
        pytest.skip("not run: the cache holds no registry yet; run playbooks/pack.yml")
    cache = Cache(tmp_path / "cache")
    content = oci.Layer()
    content.text("/hello", "world")
    made = image(cache, content)
    blobs, links = oci.registry_files(made)
    bundle = bundles.Bundle(
        files={f"registry/{k}": (v, False) for k, v in blobs.items()},
        texts={f"registry/{k}": v for k, v in links.items()},
    )
    tree, _, _ = bundles.write(cache, bundle, "0", tmp_path)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = tmp_path / "config.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {tree}/registry}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n"
    )
    server = subprocess.Popen(
        [binary, "serve", config], env={"OTEL_TRACES_EXPORTER": "none"}, stderr=subprocess.DEVNULL
    )
    try:
        base = f"http://127.0.0.1:{port}/v2/docker.io/example/hello"
        manifest = fetch(f"{base}/manifests/v1", server)
        assert manifest == cache.blob(made.manifest.sha256).read_bytes()
        assert fetch(f"{base}/manifests/sha256:{made.manifest.sha256}", server) == manifest
        for blob in (made.config, *made.layers):
            assert fetch(f"{base}/blobs/sha256:{blob.sha256}", server) == cache.blob(blob.sha256).read_bytes()
        with pytest.raises(urllib.error.HTTPError, match="404"):
            fetch(f"{base}/manifests/v2", server)
    finally:
        server.kill()
        server.wait()


def fetch(url: str, server: subprocess.Popen[bytes]) -> bytes:
    """Body of an answer, as soon as the server listens."""
    request = urllib.request.Request(url, headers={"Accept": oci.MANIFEST})
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                body: bytes = answer.read()
                return body
        except urllib.error.HTTPError:
            raise
        except urllib.error.URLError:
            assert server.poll() is None, "the registry ended"
            assert time.monotonic() < deadline, f"nothing answered at {url}"
