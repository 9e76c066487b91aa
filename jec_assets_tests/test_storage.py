"""Storage: a reader sees a whole object or none, digests don't depend on chance."""

import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import jec_assets.jets
from jec_assets.storage import (
    SECONDS_UNTIL_ABANDONED,
    ArtifactMissingError,
    Storage,
    appearing,
    code_digest,
    digest_bytes,
    digest_file,
    digest_of,
    write_atomically,
)

VALUES = st.recursive(
    st.none() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), VALUES))
def test_digest_ignores_the_order_of_keys_and_survives_json(value: dict) -> None:
    shuffled = dict(reversed(value.items()))
    assert digest_of(value) == digest_of(shuffled) == digest_of(json.loads(json.dumps(value)))


def test_publishing_and_reading(storage: Storage) -> None:
    artifact = storage.publish_named_by_digest("things", ".bin", b"payload")
    assert artifact.digest == digest_bytes(b"payload")
    assert storage.read_bytes(artifact.key) == b"payload"
    assert storage.list("things") == [artifact.key]
    assert storage.local_file(artifact.key).read_bytes() == b"payload"
    storage.publish_json("pointer.json", {"at": artifact.key})
    assert storage.read_json("pointer.json") == {"at": artifact.key}
    storage.remove("pointer.json")
    assert not storage.exists("pointer.json")


def test_a_file_is_moved_whole(storage: Storage, tmp_path: Path) -> None:
    source = tmp_path / "big"
    source.write_bytes(b"x" * 1000)
    digest = digest_file(source)
    artifact = storage.publish_file_named_by_digest("files", ".bin", source)
    assert artifact.digest == digest
    assert storage.read_bytes(artifact.key) == b"x" * 1000
    assert not source.exists()


def test_what_is_missing_is_named_with_the_remedy(storage: Storage) -> None:
    with pytest.raises(ArtifactMissingError, match=r"nothing is stored at .*gone.json: materialize"):
        storage.read_json("gone.json")
    with pytest.raises(ArtifactMissingError, match=r"gone\.bin"):
        storage.local_file("gone.bin")


def test_an_interrupted_write_leaves_the_old_object_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "object"
    write_atomically(path, b"old")

    def interrupted() -> None:
        with appearing(path) as stream:
            stream.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["object"]


def test_unfinished_objects_are_not_listed(storage: Storage) -> None:
    storage.publish_bytes("things/a", b"1")
    (Path(storage.root) / "things" / ".b.part").write_bytes(b"half")
    assert storage.list("things") == ["things/a"]


def test_code_digest_follows_the_sources(tmp_path: Path) -> None:
    module = type(jec_assets.jets)("made_up")
    module.__path__ = [str(tmp_path)]
    (tmp_path / "a.py").write_text("one = 1\n")
    before = code_digest(module)
    assert before == code_digest(module)
    (tmp_path / "a.py").write_text("one = 2\n")
    assert code_digest(module) != before


def test_what_a_killed_writer_left_is_removed_once_it_is_old(tmp_path: Path) -> None:
    old, fresh, other = (tmp_path / name for name in (".a.json.x.part", ".a.json.y.part", ".b.json.x.part"))
    for part in (old, fresh, other):
        part.write_bytes(b"half")
    long_ago = time.time() - 2 * SECONDS_UNTIL_ABANDONED
    os.utime(old, (long_ago, long_ago))
    os.utime(other, (long_ago, long_ago))
    write_atomically(tmp_path / "a.json", b"whole")
    assert {path.name for path in tmp_path.iterdir()} == {fresh.name, other.name, "a.json"}
