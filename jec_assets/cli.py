"""`jec`: for people who are not at the Dagster UI.

Belongs here: commands, their options and what they print. Does not belong here: what they do, which is a call of the
library. Libraries are imported inside the commands, so that `jec --help` answers at once.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer
from rich.console import Console

if TYPE_CHECKING:
    from jec_assets.settings import Settings
    from jec_assets.storage import Storage

app = typer.Typer(
    help="Jet energy calibration: simulate jets, serve models, see results. `jec settings` lists the JEC_* variables.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
console = Console(stderr=True)


def _settings() -> Settings:
    from pydantic import ValidationError

    from jec_assets.settings import Settings

    try:
        return Settings()
    except ValidationError as fault:
        wrong = [f"JEC_{'_'.join(map(str, each['loc'])).upper()}: {each['msg']}" for each in fault.errors()]
        _fail("\n".join(wrong))


def _storage(settings: Settings) -> Storage:
    from jec_assets.storage import Storage

    return Storage(settings.storage_root, settings.work_folder / "cache")


def _fail(message: str) -> NoReturn:
    """Say what is wrong, on one screen and without a traceback."""
    console.print(message, style="red", highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(1)


@app.command()
def check() -> None:
    """Look whether this machine has all that the calibration needs, and say what is missing.

    Takes a second, so that nobody waits ten minutes to read it from a run.
    """
    from jec_assets.jets.features import UnknownFeatureSetError, feature_set_named
    from jec_assets.models.families import UnknownFamilyError, family_named
    from jec_assets.serving.guard import OnnxRuntimeInstallationError, check_onnxruntime
    from jec_assets.serving.installation import TritonMissingError, find_triton

    settings = _settings()
    console.print(f"profile {settings.profile}, source {settings.source}, storage {settings.storage_root}")
    try:
        feature_set_named(settings.feature_set)
        for family in settings.families:
            family_named(family)
        check_onnxruntime()
        if settings.endpoint == "local":
            find_triton()
    except (UnknownFeatureSetError, UnknownFamilyError, OnnxRuntimeInstallationError, TritonMissingError) as missing:
        _fail(str(missing))
    console.print("everything is here")


@app.command()
def simulate(
    jets: Annotated[int, typer.Option(help="Jets to simulate, at least; each file ends with a whole event.")],
    out: Annotated[Path, typer.Option(help="Folder of the files; an interrupted sample in it is gone on with.")],
    seed: Annotated[int, typer.Option(help="Same seed, same files, whatever the number of jobs.")] = 1,
    jobs: Annotated[int, typer.Option(help="Processes, about 350 MB each; 0: one per core.")] = 0,
    tune: Annotated[str, typer.Option(help="PYTHIA tune: cuetp8m1, monash or a14.")] = "cuetp8m1",
    candidates: Annotated[
        Literal["members", "square"], typer.Option(help="members of the jets, or all in the square around them.")
    ] = "members",
) -> None:
    """Simulate jets: PYTHIA 8, pileup, a parametrized detector, FastJet, the standard correction, JetNTuple files."""
    from jec_assets.progress import StageBars
    from jec_assets.simulation import SimulationError, SimulationPlan
    from jec_assets.simulation import simulate as run

    try:
        plan = SimulationPlan(jets, out, seed=seed, tune=tune, jobs=jobs or os.cpu_count() or 1, candidates=candidates)
        with StageBars(console) as bars:
            summary = run(plan, bars.update)
    except SimulationError as fault:
        _fail(str(fault))
    verb = "were there already" if summary.reused else "simulated"
    console.print(f"{summary.jets} jets {verb}: {len(summary.files)} files in {out}", soft_wrap=True)
    console.print(f"standard correction: {summary.correction.name}", soft_wrap=True)


@app.command()
def train(
    family: Annotated[str, typer.Argument(help="pfn, particle_net, ...: a family of networks.")],
    trial: Annotated[int, typer.Option(min=0, help="Its number; 0 is the known optimum.")] = 0,
) -> None:
    """Train one trial on the present splits, as its asset does; killed and started again, it goes on where it was.

    The record lies where the asset looks for it, so that a run of the job does not train it again.
    """
    from jec_assets.models.families import UnknownFamilyError, family_named
    from jec_assets.progress import TrainingBars
    from jec_assets.search.record import FinishedTrial
    from jec_assets.search.sampler import trial_key
    from jec_assets.search.setup import plan_of, study_of
    from jec_assets.search.trial import run_trial
    from jec_assets.storage import ArtifactMissingError

    settings = _settings()
    try:
        label = f"{family_named(family).title} trial {trial_key(trial)}"
        study, plan = study_of(settings, _storage(settings)), plan_of(settings, family, trial)
    except (UnknownFamilyError, ArtifactMissingError) as fault:
        _fail(str(fault))
    console.print(f"{label}: {plan.optimization}, {plan.hyperparameters}", soft_wrap=True, highlight=False)
    with TrainingBars(console) as bars:
        record = run_trial(study, plan, bars.reporter(label))
    if not isinstance(record, FinishedTrial):
        _fail(f"{label} failed: {record.error}")
    found = f"validation loss {record.validation_loss:.5f} in epoch {record.best_epoch}"
    console.print(f"{label}: {found}", highlight=False)
    print(study.storage.uri(record.key))  # noqa: T201 - for scripts


@app.command()
def serve() -> None:
    """Start (or find) this machine's Triton and have it load every model that is published."""
    from jec_assets.models.families import FAMILIES
    from jec_assets.serving.endpoint import load
    from jec_assets.serving.repository import ModelRepository
    from jec_assets.serving.served import publish_endpoint
    from jec_assets.serving.triton import LocalTriton

    settings = _settings()
    repository = ModelRepository(_storage(settings))
    models = [model for model in map(repository.current, FAMILIES) if model is not None]
    if not models:
        _fail("no model is published yet: run `make demo` or materialize onnx_repository")
    endpoint = LocalTriton(settings.work_folder).start_or_reuse(repository.uri)
    load(endpoint, models)
    publish_endpoint(repository.storage, endpoint)
    for model in models:
        console.print(f"{model.family} version {model.version}")
    print(endpoint.url)  # noqa: T201 - the one thing that scripts read


@app.command()
def calibrate(
    source: Annotated[str, typer.Argument(metavar="IN.root", help="A JetNTuple file, simulation or data, or its URL.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The calibrated copy; whole or not there at all.")],
    family: Annotated[str, typer.Option(help="Which model calibrates.")] = "pfn_committee",
    url: Annotated[str, typer.Option(help="host:port of a server, HTTP; without it, the one that is recorded.")] = "",
    local: Annotated[bool, typer.Option("--local", help="Without a server: the published model, here.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the output if it is there already.")] = False,
) -> None:
    """Copy every jet of a file with its calibrated pT and mass, resolution, and whether the training had such jets."""
    from jec_assets.progress import StageBars
    from jec_assets.serving.calibrated_file import FAULTS, RESIDUAL, calibrate_file
    from jec_assets.serving.calibrator import Calibrator
    from jec_assets.serving.repository import ModelRepository
    from jec_assets.serving.served import load_endpoint

    if url and local:
        _fail("--url and --local exclude each other: a server calibrates, or this process")
    try:
        if local:
            calibrator = Calibrator.local(ModelRepository(_storage(_settings())), family)
        else:
            calibrator = Calibrator(url or load_endpoint(_storage(_settings())).http, family)
        with calibrator, StageBars(console) as bars:
            done = calibrate_file(source, out, calibrator, lambda now, total: bars.update(now, total, "jets"), force)
    except FAULTS as fault:
        _fail(str(fault))
    for line in (f"{done.jets:,} jets calibrated by {calibrator.model.title}: {out}", *done.remarks, RESIDUAL):
        console.print(line, soft_wrap=True, highlight=False, markup=False)


@app.command()
def results() -> None:
    """Print where the newest report, its numbers and the endpoint are, one a line, for people and scripts."""
    from jec_assets.reports.calibration_page import NUMBERS_KEY, PAGE_KEY
    from jec_assets.serving.served import ENDPOINT_KEY, load_endpoint

    storage = _storage(_settings())
    if not (storage.exists(NUMBERS_KEY) and storage.exists(ENDPOINT_KEY)):
        _fail(f"there are no results in {storage.root} yet: run `make demo` or materialize calibration_report")
    print(f"report: {storage.uri(PAGE_KEY)}")  # noqa: T201
    print(f"numbers: {storage.uri(NUMBERS_KEY)}")  # noqa: T201
    print(f"endpoint: {load_endpoint(storage).url}")  # noqa: T201


@app.command()
def dev(port: Annotated[int, typer.Option(help="Port of the UI on 127.0.0.1.")] = 3000) -> None:
    """Open the Dagster UI with this project loaded, on this machine only, until Ctrl-C or `jec stop`."""
    dagster = str(Path(sys.executable).with_name("dagster"))
    _run_recorded("dagster_dev", [dagster, "dev", "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(port)])


@app.command()
def run(command: Annotated[list[str], typer.Argument(help="The command and its words, after --.")]) -> None:
    """Run a command so that `jec stop` finds and ends it with all that it starts."""
    _run_recorded(Path(command[0]).name, command)


def _run_recorded(name: str, command: list[str]) -> NoReturn:
    from jec_assets.running import recorded

    process = subprocess.Popen(command)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    with recorded(_settings().work_folder, name, process.pid):
        try:
            status = process.wait()
        except KeyboardInterrupt:
            # The terminal sent it to the command too, which now winds up.
            status = process.wait()
    # A shell's convention: 128 + the signal that ended the command.
    raise typer.Exit(status if status >= 0 else 128 - status)


@app.command()
def stop() -> None:
    """End every process that the project started from this folder: Triton, the Dagster UI and all below them."""
    from jec_assets.running import stop_recorded
    from jec_assets.serving.triton import LocalTriton

    settings = _settings()
    ended = stop_recorded(settings.work_folder)
    if LocalTriton(settings.work_folder).stop():
        ended.append("triton")
    console.print(f"ended: {', '.join(ended)}" if ended else "nothing was running")


@app.command()
def settings(json_output: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Show every setting: its variable, its value now and what it means."""
    from rich.table import Table

    from jec_assets.settings import Settings

    now = _settings()
    if json_output:
        print(json.dumps(now.model_dump(mode="json"), indent=1))  # noqa: T201
        return
    table = Table("variable", "value", "meaning")
    for name, field in Settings.model_fields.items():
        mark = "*" if f"JEC_{name.upper()}" in os.environ else ""
        table.add_row(f"JEC_{name.upper()}{mark}", str(getattr(now, name)), field.description or "")
    Console().print(table)


if __name__ == "__main__":
    app()
