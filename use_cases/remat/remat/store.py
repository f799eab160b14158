"""The bucket: reads its address and credentials from the environment, as a Kubernetes Secret gives them.

S3_ENDPOINT (host:port or URL), S3_BUCKET, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from minio import Minio
from minio.error import S3Error


class Store:
    """One bucket of an S3 object store."""

    def __init__(self, client: Minio, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    @classmethod
    def from_environment(cls) -> Store:
        """Return the bucket that the environment names.

        Raises:
            ValueError: a variable is missing; all missing ones are named.
        """
        names = ("S3_ENDPOINT", "S3_BUCKET", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        missing = [name for name in names if not os.environ.get(name)]
        if missing:
            raise ValueError(f"these environment variables are needed: {', '.join(missing)}")
        endpoint, bucket, user, password = (os.environ[name] for name in names)
        url = urlsplit(endpoint if "://" in endpoint else f"http://{endpoint}")
        return cls(Minio(url.netloc, access_key=user, secret_key=password, secure=url.scheme == "https"), bucket)

    def exists(self, key: str) -> bool:
        """Return whether there is an object under `key`."""
        try:
            self._client.stat_object(self._bucket, key)
        except S3Error as error:
            if error.code == "NoSuchKey":
                return False
            raise
        return True

    def read(self, key: str) -> bytes:
        """Return the object under `key`."""
        answer = self._client.get_object(self._bucket, key)
        try:
            return bytes(answer.read())
        finally:
            answer.close()
            answer.release_conn()

    def upload(self, path: Path, key: str) -> None:
        """Write the file at `path` to `key`."""
        self._client.fput_object(self._bucket, key, str(path))

    def download(self, key: str, path: Path) -> None:
        """Write the object under `key` to the file `path`."""
        self._client.fget_object(self._bucket, key, str(path))
