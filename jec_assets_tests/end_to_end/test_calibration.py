"""The calibration job, as a user runs it: from files to a served, benchmarked and reported calibration."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import pytest

from jec_assets.definitions import build_defs
from jec_assets.jets.arrivals import calibrated_files, change_between
from jec_assets.jets.sources import list_files
from jec_assets.settings import Settings
from jec_assets.storage import Storage
from jec_assets_tests.processes import free_port
from jec_assets_tests.toy_jets import toy_jets, write_jet_file

BIN = Path(sys.executable).parent
SMALL = {
    "JEC_TRIALS": "2",
    "JEC_EPOCHS": "2",
    "JEC_SEED": "1",
    "JEC_BOOTSTRAP_RESAMPLES": "2",
    "JEC_LATENCY_REPETITIONS": "2",
    "JEC_LOAD_SECONDS": "0.05",
    "JEC_READING_PROCESSES": "1",
    "JEC_THREADS": "1",
}

pytestmark = [pytest.mark.needs("triton"), pytest.mark.slow]


@dataclass(frozen=True)
class Place:
    """A user's folder: everything that a run makes lies in it."""

    folder: Path
    source: Path
    families: tuple[str, ...] = ("pfn", "particle_net")

    @property
    def environment(self) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith(("JEC_", "DAGSTER_"))}
        own_settings = {
            "JEC_FAMILIES": json.dumps(self.families),
            "JEC_SOURCE": str(self.source),
            "JEC_STORAGE_ROOT": str(self.folder / "storage"),
            "JEC_WORK_FOLDER": str(self.folder / "work"),
        }
        return {**own, **SMALL, **own_settings}

    def start(self) -> subprocess.Popen[bytes]:
        command = [str(BIN / "dagster"), "job", "execute", "-m", "jec_assets.definitions", "-j", "calibration"]
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=log, stderr=log)

    def run(self) -> int:
        status = self.start().wait(timeout=540)
        assert status == 0, self.log[-5000:]
        return status

    def jec(self, *words: str) -> str:
        command = [str(BIN / "jec"), *words]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, check=True, capture_output=True, text=True
        )
        return done.stdout

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    @property
    def numbers(self) -> dict:
        return json.loads((self.folder / "storage/reports/calibration.json").read_text())

    def record(self, family: str, number: str) -> dict:
        return json.loads((self.folder / f"storage/trials/{family}/{number}.json").read_text())


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("jets")
    for number in range(2):
        write_jet_file(folder / f"{number}.root", toy_jets(600, seed=number))
    (folder / "broken.root").write_text("not a ROOT file")
    return folder


@pytest.fixture(scope="module")
def calibrated(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A place where the job ran once."""
    place = Place(tmp_path_factory.mktemp("calibrated"), source)
    try:
        place.run()
        yield place
    finally:
        place.jec("stop")


def test_the_results_are_where_they_are_said_to_be(calibrated: Place) -> None:
    lines = dict(line.split(": ", 1) for line in calibrated.jec("results").splitlines())
    assert list(lines) == ["report", "numbers", "endpoint"]
    assert Path(lines["report"]).suffix == ".html"
    numbers = json.loads(Path(lines["numbers"]).read_text())
    assert set(numbers["loss"]) >= {"standard", "constant", "kinematics", "pfn", "particle_net"}
    assert sum(numbers["splits"].values()) == 2400
    assert numbers["versions"]["torch"]
    with urllib.request.urlopen(f"{lines['endpoint']}/v2/health/ready") as answer:  # noqa: S310 - loopback
        assert answer.status == 200


def test_networks_that_see_particle_types_beat_the_baselines(calibrated: Place) -> None:
    loss = calibrated.numbers["loss"]
    baseline = min(loss["standard"], loss["constant"], loss["kinematics"])
    assert max(loss["particle_net"], loss["pfn"]) < 0.95 * baseline


def test_the_page_asks_nobody_for_anything(calibrated: Place) -> None:
    asked: list[str] = []

    class Links(HTMLParser):
        def handle_starttag(self, _: str, attributes: list[tuple[str, str | None]]) -> None:
            asked.extend(value for name, value in attributes if name in ("src", "href", "xlink:href") and value)

    Links().feed((calibrated.folder / "storage/reports/calibration.html").read_text())
    assert [link for link in asked if not link.startswith(("#", "data:"))] == []


def test_the_broken_file_is_named_and_the_others_went_through(calibrated: Place) -> None:
    assert "broken.root: it is not a ROOT file or it is damaged" in calibrated.log
    manifest = json.loads((calibrated.folder / "storage/filtered_jets/manifest.json").read_text())
    assert [Path(row["file"]["url"]).name for row in manifest["rows"] if row["file"]["error"]] == ["broken.root"]


def test_a_second_run_reads_and_trains_nothing_and_publishes_the_same(calibrated: Place) -> None:
    numbers, trial = calibrated.numbers, calibrated.record("pfn", "001")
    endpoint = calibrated.jec("results").splitlines()[-1]
    calibrated.run()
    assert calibrated.record("pfn", "001") == trial
    assert calibrated.numbers["loss"] == numbers["loss"]
    assert calibrated.jec("results").splitlines()[-1] == endpoint
    folder = calibrated.folder / "storage/model_repository/pfn"
    versions = [path.name for path in folder.iterdir() if path.name.isdecimal()]
    assert versions == ["1"]


def test_the_endpoint_can_be_asked_at_any_time_whether_it_answers_as_published(
    calibrated: Place, tmp_path: Path
) -> None:
    assert checks_endpoint(calibrated.folder / "storage", calibrated)
    elsewhere = tmp_path / "storage"
    shutil.copytree(calibrated.folder / "storage", elsewhere)
    record = elsewhere / "served_endpoint.json"
    served = json.loads(record.read_text())
    record.write_text(json.dumps({**served, "http": f"127.0.0.1:{free_port()}", "grpc": f"127.0.0.1:{free_port()}"}))
    assert not checks_endpoint(elsewhere, calibrated)


def checks_endpoint(storage: Path, place: Place) -> bool:
    """Whether the job `endpoint_check` ends well, as its schedule and the sensor of failed runs see it."""
    settings = Settings(
        families=("pfn", "particle_net"), source=str(place.source), storage_root=str(storage), work_folder=place.folder
    )
    job = build_defs(settings).get_repository_def().get_job("endpoint_check")
    return job.execute_in_process(raise_on_error=False).success


def test_the_sensor_knows_which_files_were_calibrated(calibrated: Place) -> None:
    storage, files = Storage(str(calibrated.folder / "storage")), list_files(str(calibrated.source))
    assert len(files) == 3, "the broken one is among them: it is not to start another calibration"
    assert change_between(calibrated_files(storage), files).files == 0
    assert storage.read_json("reports/loss.json")["provenance"]["experiment"] == "default"


def test_a_trial_can_be_trained_from_the_command_line(calibrated: Place) -> None:
    finished, another = (Path(calibrated.jec("train", "pfn", "--trial", number).strip()) for number in ("1", "7"))
    assert json.loads(finished.read_text()) == calibrated.record("pfn", "001")
    assert json.loads(another.read_text())["status"] == "finished"


def test_a_run_killed_in_a_trial_goes_on_to_the_same_result(calibrated: Place, source: Path, tmp_path: Path) -> None:
    place = Place(tmp_path, source, ("pfn",))
    try:
        process = place.start()
        first = place.folder / "storage/trials/pfn/000.json"
        deadline = time.monotonic() + 300
        while not first.exists():
            assert process.poll() is None, place.log[-5000:]
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)
        assert not (place.folder / "storage/best_models").exists()
        seconds = place.record("pfn", "000")["seconds"]
        place.run()
        assert place.record("pfn", "000")["seconds"] == seconds, "the finished trial was trained again"
        for number in ("000", "001"):
            digest = place.record("pfn", number)["weights_digest"]
            assert digest == calibrated.record("pfn", number)["weights_digest"]
        losses, whole = place.numbers["loss"], calibrated.numbers["loss"]
        assert losses == {name: whole[name] for name in losses}
        assert "pfn" in losses
    finally:
        place.jec("stop")


def test_a_source_of_nothing_fails_with_the_remedy(tmp_path: Path) -> None:
    place = Place(tmp_path, tmp_path / "nowhere")
    assert place.start().wait(timeout=120) != 0
    assert "nowhere: there are no *.root files; set JEC_SOURCE" in place.log
