"""Storage roots behind a proxy that can fail."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jec_assets.storage import S3Access, Storage
from jec_assets_tests.faulty_s3 import FaultyS3, faulty_s3
from jec_assets_tests.s3 import make_bucket

BUCKET = "storage"
# A busy machine's server may be silent for seconds: only tests of silence itself have less patience.
STEADY = S3Access(attempts=2, connect_seconds=30, read_seconds=30)
IMPATIENT = S3Access(attempts=2, connect_seconds=30, read_seconds=1)
HASTY = S3Access(attempts=1, connect_seconds=30, read_seconds=30)


@pytest.fixture
def proxy(s3: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyS3]:
    """What stands between this test's clients and the server."""
    with faulty_s3(s3) as proxy:
        make_bucket(proxy.url, BUCKET, monkeypatch)
        yield proxy


@pytest.fixture
def remote(proxy: FaultyS3, request: pytest.FixtureRequest) -> Storage:
    """A root of the test's own, whose clients ask a second time."""
    return Storage(f"s3://{BUCKET}/{request.node.name}", s3=STEADY)


@pytest.fixture
def impatient(remote: Storage) -> Storage:
    """The same root for whoever waits for an answer that never comes."""
    return Storage(remote.root, s3=IMPATIENT)


@pytest.fixture
def hasty(remote: Storage) -> Storage:
    """The same root for whoever waits for faults that never pass: its clients ask once."""
    return Storage(remote.root, s3=HASTY)
