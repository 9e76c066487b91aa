"""A real S3 server for tests: SeaweedFS, with one set of credentials."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jec_assets_tests.processes import ended, free_ports_with_neighbors, wait_for_port

KEY, SECRET = "key", "secret"


@contextmanager
def s3_server(folder: Path) -> Iterator[str]:
    """Its URL while the block lasts; `folder` is empty and its own."""
    identity = {
        "name": "tests",
        "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
        "actions": ["Admin", "Read", "Write", "List"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    master, volume, filer, port = free_ports_with_neighbors(4, 10_000)
    command = ["weed", "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={folder}", "-volume.max=500"]
    command += ["-master.volumeSizeLimitMB=64", f"-master.port={master}", f"-volume.port={volume}"]
    command += ["-filer", f"-filer.port={filer}", "-s3", f"-s3.port={port}", f"-s3.config={folder / 's3.json'}"]
    command += ["-s3.port.iceberg=0", "-s3.port.lance=0"]  # fixed ports otherwise, which two servers cannot share
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    with ended(server):
        wait_for_port(port, 60)
        yield f"http://127.0.0.1:{port}"


def make_bucket(url: str, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point this process's S3 clients at the server, and make a bucket as soon as the server lets anybody."""
    import fsspec

    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    fsspec.config.conf.clear()
    fsspec.get_filesystem_class("s3").clear_instance_cache()  # clients of other tests' servers
    system = fsspec.filesystem("s3", skip_instance_cache=True)
    deadline = time.monotonic() + 30
    while True:
        try:
            system.mkdir(bucket)
            break
        except FileExistsError:
            break
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
