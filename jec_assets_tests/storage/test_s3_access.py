"""How S3 servers are asked: addresses, and trusted certificates."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path
from typing import Literal

import pytest

from jec_assets.storage import S3Access, Storage, StorageError
from jec_assets_tests.faulty_s3 import faulty_s3
from jec_assets_tests.s3 import make_bucket

OWN = "https://s3.example.org"


@pytest.mark.parametrize(
    ("server", "addressing", "address"),
    [
        (OWN, "auto", "https://s3.example.org/bucket/a/key"),
        (OWN, "path", "https://s3.example.org/bucket/a/key"),
        (OWN, "virtual", "https://bucket.s3.example.org/a/key"),
        (None, "auto", "https://bucket.s3.amazonaws.com/a/key"),
        (None, "path", "https://s3.eu-west-1.amazonaws.com/bucket/a/key"),
    ],
)
def test_the_bucket_stands_where_the_setting_says(
    server: str | None,
    addressing: Literal["auto", "path", "virtual"],
    address: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    variables = {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret", "DEFAULT_REGION": "eu-west-1"}
    for name, value in variables.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    if server is not None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    base = Storage("s3://bucket/a", s3=S3Access(addressing)).base
    base.fs.clear_instance_cache()
    path = Storage("s3://bucket/a", s3=S3Access(addressing)).base / "key"
    assert path.fs.sign(path.path).split("?")[0] == address


@pytest.mark.needs("s3")
def test_a_server_whose_certificate_is_not_trusted_is_said_and_a_trusted_one_is_used(
    s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-days", "2"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    make_bucket(s3, "private", monkeypatch)
    with faulty_s3(s3, context) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        strict = Storage("s3://private/tls", s3=S3Access(attempts=1))
        strict.base.fs.clear_instance_cache()
        with pytest.raises(StorageError, match="its certificate isn't trusted: set AWS_CA_BUNDLE"):
            Storage("s3://private/tls", s3=S3Access(attempts=1)).publish_bytes("a", b"1")
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
        strict.base.fs.clear_instance_cache()
        trusting = Storage("s3://private/tls", s3=S3Access(attempts=1))
        trusting.publish_bytes("a", b"1" * 1_000_000)
        assert trusting.read_bytes("a") == b"1" * 1_000_000
