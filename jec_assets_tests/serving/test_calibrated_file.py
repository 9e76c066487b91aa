"""Files that no model can calibrate, and servers that are none, as `jec calibrate` tells them."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from jec_assets.cli import app
from jec_assets.serving import tensors
from jec_assets.serving.config import InstanceSettings
from jec_assets.serving.repository import ModelRepository
from jec_assets_tests.serving.conftest import card_of
from jec_assets_tests.toy_jets import toy_jets, write_jet_file


def calibrate(folder: Path, *options: str, root: str = "") -> Result:
    source = write_jet_file(folder / "in.root", toy_jets(5, seed=5))
    words = ["calibrate", str(source), "-o", str(folder / "out.root"), "--family", "pfn", *options]
    return CliRunner().invoke(app, words, env={"JEC_STORAGE_ROOT": root})


def test_jets_of_too_many_particles_are_told_without_a_traceback(
    tmp_path: Path, repository: ModelRepository, pfn_onnx: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.publish(card_of("pfn", pfn_onnx), pfn_onnx, InstanceSettings())
    monkeypatch.setattr(tensors, "MAX_PARTICLES", 5)
    done = calibrate(tmp_path, "--local", root=repository.storage.root)
    assert (done.exit_code, isinstance(done.exception, SystemExit)) == (1, True)
    assert "particles: may have 5 slots per jet" in done.output
    assert not (tmp_path / "out.root").exists()


def test_an_address_with_a_path_is_told_without_a_traceback(tmp_path: Path) -> None:
    done = calibrate(tmp_path, "--url", "localhost:8000/v2")
    assert (done.exit_code, isinstance(done.exception, SystemExit)) == (1, True)
    assert "'localhost:8000/v2' is no address: give host:port" in done.output
