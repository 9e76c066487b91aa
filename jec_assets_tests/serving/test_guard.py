from __future__ import annotations

from pathlib import Path

import pytest

from jec_assets.serving.guard import OnnxRuntimeInstallationError, check_onnxruntime


def install(folder: Path, distribution: str) -> None:
    info = folder / f"{distribution.replace('-', '_')}-1.30.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.30.0\n")


@pytest.mark.parametrize("distribution", ["onnxruntime", "onnxruntime-gpu"])
def test_one_distribution_is_fine(distribution: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, distribution)
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    assert check_onnxruntime() == distribution


def test_both_distributions_are_refused_with_the_repair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "onnxruntime")
    install(tmp_path, "onnxruntime-gpu")
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    with pytest.raises(
        OnnxRuntimeInstallationError, match="pip uninstall -y onnxruntime onnxruntime-gpu && pip install"
    ):
        check_onnxruntime()


def test_neither_distribution_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    with pytest.raises(OnnxRuntimeInstallationError, match=r"pip install 'jec-assets\[cpu\]'"):
        check_onnxruntime()
