"""What becomes of a storage root on S3 when its server or the network fails: retried, or said; never half an object."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from jec_assets.storage import ArtifactMissingError, S3Access, Storage, StorageError
from jec_assets_tests.faulty_s3 import (
    Act,
    FaultyS3,
    after,
    answering,
    cutting_download,
    cutting_upload,
    losing_the_answer,
    silent,
    stalling,
    trickling,
)
from jec_assets_tests.storage.conftest import BUCKET, HASTY

pytestmark = pytest.mark.needs("s3")
ALWAYS = 1_000_000
NEVER = 600.0  # s: longer than any test, which ends the proxy
OLD, NEW = b"old" * 100_000, b"new" * 200_000


@pytest.mark.parametrize(
    "fault",
    [
        answering(503, "SlowDown"),
        answering(500, "InternalError"),
        cutting_upload(100_000),
        losing_the_answer,
    ],
    ids=["slow_down", "internal_error", "cut", "lost_answer"],
)
def test_a_fault_that_passes_costs_an_upload_only_time(remote: Storage, proxy: FaultyS3, fault: Act) -> None:
    remote.publish_bytes("a", OLD)
    proxy.inject(fault, "PUT")
    remote.publish_bytes("a", NEW)
    assert proxy.count("PUT", "/a") == 3
    assert remote.read_bytes("a") == NEW


@pytest.mark.parametrize(
    "fault",
    [answering(503, "SlowDown"), cutting_download(100_000)],
    ids=["slow_down", "cut"],
)
def test_a_fault_that_passes_costs_a_download_only_time(remote: Storage, proxy: FaultyS3, fault: Act) -> None:
    remote.publish_bytes("a", NEW)
    proxy.inject(fault, "GET")
    assert remote.read_bytes("a") == NEW
    assert proxy.count("GET", "/a") == 2


def test_an_upload_that_nobody_answers_is_made_again(remote: Storage, impatient: Storage, proxy: FaultyS3) -> None:
    remote.publish_bytes("a", OLD)
    proxy.inject(silent(NEVER), "PUT")
    impatient.publish_bytes("a", NEW)
    # A busy server may be silent for as long, and be asked once more: then more requests are right, too.
    assert proxy.count("PUT", "/a") >= 3
    assert remote.read_bytes("a") == NEW


@pytest.mark.parametrize("fault", [stalling(100_000, NEVER), silent(NEVER)], ids=["stalled", "silent"])
def test_a_download_that_comes_to_a_halt_is_made_again(
    remote: Storage, impatient: Storage, proxy: FaultyS3, fault: Act
) -> None:
    remote.publish_bytes("a", NEW)
    proxy.inject(fault, "GET")
    assert impatient.read_bytes("a") == NEW
    assert proxy.count("GET", "/a") >= 2


def test_a_burst_of_refusals_for_overload_is_sat_out(remote: Storage, proxy: FaultyS3) -> None:
    proxy.inject(answering(503, "SlowDown"), times=6)
    remote.publish_bytes("a", NEW)
    assert remote.read_bytes("a") == NEW


def test_a_slow_server_is_not_a_dead_one(remote: Storage, proxy: FaultyS3) -> None:
    """Patience is for silence, not for the whole: thirty pauses outlast it together, and each is far from it."""
    patience, pieces = 5.0, 30
    remote.publish_bytes("a", NEW)
    proxy.inject(trickling(len(NEW) // pieces, 1.2 * patience / pieces), "GET")
    reader = Storage(remote.root, s3=S3Access(attempts=2, connect_seconds=30, read_seconds=patience))
    assert reader.read_bytes("a") == NEW
    assert proxy.count("GET", "/a") == 1


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (answering(503, "SlowDown"), "SlowDown.*fails or is overloaded: run it again later"),
        (answering(500, "InternalError"), "InternalError.*fails or is overloaded"),
        (cutting_upload(100_000), "doesn't answer: check that it runs and AWS_ENDPOINT_URL"),
        (answering(403, "ExpiredToken"), "credentials have expired: get new ones"),
        (answering(400, "ExpiredToken"), "credentials have expired: get new ones"),
        (answering(403, "AccessDenied"), "it is refused: check AWS_ACCESS_KEY_ID"),
    ],
    ids=["slow_down", "internal_error", "cut", "expired", "expired_as_amazon_says_it", "forbidden"],
)
def test_an_upload_that_fails_for_good_is_said_and_leaves_the_old_object(
    hasty: Storage, proxy: FaultyS3, fault: Act, told: str
) -> None:
    hasty.publish_bytes("folder/a", OLD)
    proxy.inject(fault, "PUT", times=ALWAYS)
    with pytest.raises(StorageError, match=rf"^s3://{BUCKET}/.*/folder/a: .*{told}"):
        hasty.publish_bytes("folder/a", NEW)
    assert hasty.read_bytes("folder/a") == OLD


def test_a_new_object_whose_upload_is_cut_never_appears(hasty: Storage, proxy: FaultyS3) -> None:
    proxy.inject(cutting_upload(100_000), "PUT", times=ALWAYS)
    with pytest.raises(StorageError, match=r"/folder/b: .*doesn't answer"):
        hasty.publish_bytes("folder/b", NEW)
    assert hasty.list("folder") == []
    assert not hasty.exists("folder/b")


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (answering(503, "SlowDown"), "fails or is overloaded"),
        (cutting_download(100_000), "doesn't answer"),
        (answering(400, "ExpiredToken"), "credentials have expired"),
    ],
    ids=["slow_down", "cut", "expired"],
)
def test_a_download_that_fails_for_good_is_never_taken_for_a_missing_object(
    hasty: Storage, proxy: FaultyS3, fault: Act, told: str
) -> None:
    hasty.publish_bytes("a", NEW)
    proxy.inject(fault, "GET", times=ALWAYS)
    with pytest.raises(StorageError, match=rf"/a: .*{told}"):
        hasty.read_bytes("a")


def test_a_large_upload_that_fails_half_way_leaves_nothing(hasty: Storage, proxy: FaultyS3, tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as stream:
        stream.truncate(110 << 20)  # s3fs uploads more than 100 MB in parts
    proxy.inject(answering(500, "InternalError"), "PUT", path="partNumber=3", times=ALWAYS)
    with pytest.raises(StorageError, match=r"large\.bin: .*fails or is overloaded"):
        hasty.publish_file("files/large.bin", large)
    assert proxy.count("PUT", "partNumber=1") == 1
    assert hasty.list("files") == []
    assert not hasty.exists("files/large.bin")
    assert hasty.base.fs.call_s3("list_multipart_uploads", Bucket=BUCKET).get("Uploads", []) == []
    assert large.exists()


def test_a_large_upload_that_nobody_ends_is_not_visible(hasty: Storage, proxy: FaultyS3, tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as stream:
        stream.truncate(110 << 20)
    for method in ("POST", "DELETE"):  # neither completing it nor giving it up gets through
        proxy.inject(answering(500, "InternalError"), method, path="uploadId", times=ALWAYS)
    with pytest.raises(StorageError):
        hasty.publish_file("files/large.bin", large)
    assert hasty.list("files") == []
    with pytest.raises(ArtifactMissingError):
        hasty.read_bytes("files/large.bin")


def test_a_pointer_that_is_replaced_while_it_is_read_is_read_whole(remote: Storage, proxy: FaultyS3) -> None:
    remote.publish_bytes("a", OLD)
    proxy.inject(after(lambda: Storage(remote.root).publish_bytes("a", NEW)), "GET", path="/a")
    assert remote.read_bytes("a") == NEW


def test_a_wrong_secret_is_said(remote: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    remote.base.fs.clear_instance_cache()
    stranger = Storage(remote.root, s3=HASTY)
    for act in (lambda: stranger.publish_bytes("a", b"1"), lambda: stranger.exists("a"), lambda: stranger.list("b")):
        with pytest.raises(StorageError, match=r"it is refused: check .*AWS_SECRET_ACCESS_KEY"):
            act()


def test_a_bucket_that_is_not_there_is_said(proxy: FaultyS3) -> None:
    proxy.inject(answering(404, "NoSuchBucket"))  # SeaweedFS would make it
    with pytest.raises(StorageError, match=r"s3://nowhere/a: .*there is no such bucket"):
        Storage("s3://nowhere", s3=HASTY).publish_bytes("a", b"1")


def test_missing_credentials_are_said(remote: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    remote.base.fs.clear_instance_cache()
    with pytest.raises(StorageError, match="there are no credentials: set AWS_ACCESS_KEY_ID"):
        Storage(remote.root, s3=HASTY).publish_bytes("a", b"1")


def test_a_dead_server_is_said(remote: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{reserved.getsockname()[1]}")
        remote.base.fs.clear_instance_cache()
        dead = Storage(remote.root, s3=HASTY)
        for act in (lambda: dead.publish_bytes("a", b"1"), lambda: dead.exists("a"), lambda: dead.read_json("a")):
            with pytest.raises(StorageError, match=r"/a: .*doesn't answer: check that it runs and AWS_ENDPOINT_URL"):
                act()
