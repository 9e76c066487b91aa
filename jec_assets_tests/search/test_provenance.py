from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import jec_assets
from jec_assets import models, training
from jec_assets.search.provenance import DECIDES_NOTHING, code_version


def test_only_sources_that_there_are_are_left_out() -> None:
    root = Path(jec_assets.__file__).parent
    for name in DECIDES_NOTHING:
        assert (root / name.removeprefix("jec_assets.")).is_file(), name


@pytest.mark.parametrize("package", [models, training])
def test_a_changed_source_is_another_version(package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = code_version()
    (tmp_path / "added.py").write_text("value = 1\n")
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    assert code_version() == before, "what runs is what was imported"
    assert code_version.__wrapped__() != before


def test_what_decides_nothing_makes_no_other_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "training"
    shutil.copytree(Path(training.__file__).parent, package)
    monkeypatch.setattr(training, "__path__", [str(package)])
    before = code_version.__wrapped__()
    (package / "progress.py").write_text("said = 'otherwise'\n")
    assert code_version.__wrapped__() == before
    (package / "loop.py").write_text("trained = 'otherwise'\n")
    assert code_version.__wrapped__() != before


def test_planning_and_choosing_import_nothing_heavy() -> None:
    program = (
        "import sys; import jec_assets.search.choice, jec_assets.search.trial; "
        "from jec_assets.search.provenance import code_version; code_version(); "
        "print([name for name in ('torch', 'optuna', 'tensorboard', 'safetensors') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert answer.stdout.strip() == "[]"
