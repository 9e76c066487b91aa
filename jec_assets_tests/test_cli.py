"""The `jec` command: it teaches, it says what is missing, and it never shows a traceback for a user's mistake."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import correctionlib
import pytest
from typer.testing import CliRunner

from jec_assets.cli import app
from jec_assets.settings import Settings
from jec_assets.simulation import campaign
from jec_assets_tests.processes import free_port
from jec_assets_tests.toy_jets import toy_jets, write_jet_file

ROOT = Path(__file__).parents[1]


def jec(*words: str, status: int = 0) -> str:
    result = CliRunner().invoke(app, list(words), env={"COLUMNS": "200"})
    assert result.exit_code == status, result.output
    return result.output


def test_help_names_every_command() -> None:
    for command in (
        "check",
        "simulate",
        "correction",
        "train",
        "serve",
        "gate",
        "calibrate",
        "results",
        "dev",
        "run",
        "stop",
        "settings",
    ):
        assert re.search(rf"\b{command}\b", jec("--help"))


def test_settings_are_all_listed_and_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JEC_TRIALS", "5")
    shown = json.loads(jec("settings", "--json"))
    assert set(shown) == set(Settings.model_fields)
    assert shown["trials"] == 5
    assert all(field.description for field in Settings.model_fields.values())


def test_an_unknown_tune_is_refused_with_the_names(tmp_path: Path) -> None:
    said = jec("simulate", "--jets", "10", "--out", str(tmp_path), "--tune", "opera", status=1)
    assert "cuetp8m1" in said
    assert "Traceback" not in said


def test_simulating_without_its_packages_says_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign.importlib.util, "find_spec", lambda _: None)
    assert "jec-assets[simulation]" in jec("simulate", "--jets", "10", "--out", str(tmp_path), status=1)


def test_without_results_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JEC_STORAGE_ROOT", str(tmp_path))
    assert "make demo" in jec("results", status=1)
    assert "make demo" in jec("serve", status=1)


def test_training_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JEC_STORAGE_ROOT", str(tmp_path))
    assert "particle_net" in jec("train", "particle_nut", status=1)
    assert "materialize the asset that publishes it" in jec("train", "pfn", status=1)


def test_a_storage_root_that_cannot_be_reached_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
    root = {"JEC_STORAGE_ROOT": "s3://jec/storage", "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"}
    for name, value in {**variables, **root, "JEC_S3_ATTEMPTS": "1"}.items():
        monkeypatch.setenv(name, value)
    said = jec("train", "pfn", status=1)
    assert "s3://jec/storage" in said
    assert "Traceback" not in said


def test_a_standard_correction_is_derived_from_files(tmp_path: Path) -> None:
    write_jet_file(tmp_path / "jets.root", toy_jets(3000, seed=1))
    out = tmp_path / "standard.json"
    assert "jets: " in jec("correction", str(tmp_path), "-o", str(out), "--processes", "1")
    factors = correctionlib.CorrectionSet.from_file(str(out)).compound["L1L2L3"]
    assert 0.9 < factors.evaluate(100.0, 0.5, 12.0, 0.5) < 1.2
    assert "there are no *.root files" in jec("correction", str(tmp_path / "nowhere"), "-o", str(out), status=1)


def test_stopping_where_nothing_runs_is_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JEC_WORK_FOLDER", str(tmp_path))
    assert "nothing was running" in jec("stop")


def test_a_command_that_runs_is_ended_by_stop_and_its_status_is_handed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JEC_WORK_FOLDER", str(tmp_path))
    jec("run", "--", sys.executable, "-c", "raise SystemExit(3)", status=3)
    words = [
        str(Path(sys.executable)),
        "-m",
        "jec_assets.cli",
        "run",
        "--",
        sys.executable,
        "-c",
        "import time; time.sleep(600)",
    ]
    running = subprocess.Popen(words)
    try:
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob("processes/*.json")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert "ended: python" in jec("stop")
        assert running.wait(timeout=120) == 128 + 15
    finally:
        running.kill()
        running.wait()


@pytest.mark.needs("triton")
def test_check_passes_where_everything_is_installed() -> None:
    assert "everything is here" in jec("check")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("JEC_FEATURE_SET", "fancy", "choose from paper, extended"),
        ("JEC_FAMILIES", '["particle_nut"]', "choose from pfn, particle_net"),
        ("JEC_TRIALS", "many", "JEC_TRIALS: "),
    ],
)
def test_check_names_a_wrong_setting(name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    answer = jec("check", status=1)
    assert said in answer
    assert "Traceback" not in answer


def test_check_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "plan9")
    assert "there is no Triton for plan9" in jec("check", status=1)


def test_every_variable_in_the_documentation_exists() -> None:
    documents = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    known = {f"JEC_{name.upper()}" for name in Settings.model_fields} | {"JEC_TEST_CLUSTER"}  # read by tests alone
    named = {name for document in documents for name in re.findall(r"\bJEC_[A-Z0-9_]+\*?", document.read_text())}
    kinds = {name.removesuffix("*") for name in named if name.endswith("*")}
    assert {name for name in named if not name.endswith("*")} <= known
    assert all(any(name.startswith(kind) for name in known) for kind in kinds)


def test_every_make_target_in_the_documentation_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    documents = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    text = "\n".join(document.read_text() for document in documents)
    assert set(re.findall(r"`(?:JEC_\S+ )?make ([a-z0-9-]+)", text)) <= targets


def test_every_linked_document_exists() -> None:
    for document in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for link in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            assert link.startswith("http") or (document.parent / link).exists(), f"{document.name}: {link}"
