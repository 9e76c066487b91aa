from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from jec_assets import models, search, training
from jec_assets.jets import dataset, features, packed
from jec_assets.search.provenance import code_version
from jec_assets.storage import code_digest


def test_code_version_covers_features_networks_training_and_search() -> None:
    assert code_version() == code_digest(features, packed, dataset, models, training, search)
    assert code_version() != code_digest(models, training, search)


@pytest.mark.parametrize("package", [models, training, search])
def test_a_changed_source_is_another_version(package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = code_version()
    (tmp_path / "added.py").write_text("value = 1\n")
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    assert code_version() == before, "what runs is what was imported"
    assert code_version.__wrapped__() != before


def test_planning_and_choosing_import_nothing_heavy() -> None:
    program = (
        "import sys; import jec_assets.search.study, jec_assets.search.trial; "
        "from jec_assets.search.provenance import code_version; code_version(); "
        "print([name for name in ('torch', 'optuna', 'tensorboard', 'safetensors') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert answer.stdout.strip() == "[]"
