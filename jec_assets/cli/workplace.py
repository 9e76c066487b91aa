"""Commands about this machine and what was made on it: `jec check`, `results`, `dev`, `run`, `stop`, `settings`.

Belongs here: processes, settings and results of this folder. Does not belong here: jets and models.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from jec_assets.cli.app import app, console, fail, settings_now, storage_of


@app.command()
def check() -> None:
    """Look whether this machine has all that the calibration needs, and say what is missing.

    Takes a second, so that nobody waits ten minutes to read it from a run.
    """
    from jec_assets.jets.features import UnknownFeatureSetError, feature_set_named
    from jec_assets.models.families import UnknownFamilyError, family_named
    from jec_assets.serving.guard import OnnxRuntimeInstallationError, check_onnxruntime
    from jec_assets.serving.installation import TritonMissingError, find_triton

    settings = settings_now()
    console.print(f"profile {settings.profile}, source {settings.source}, storage {settings.storage_root}")
    try:
        feature_set_named(settings.feature_set)
        for family in settings.families:
            family_named(family)
        check_onnxruntime()
        if settings.endpoint == "local":
            find_triton()
    except (UnknownFeatureSetError, UnknownFamilyError, OnnxRuntimeInstallationError, TritonMissingError) as missing:
        fail(str(missing))
    console.print("everything is here")


@app.command()
def results() -> None:
    """Print where the newest report, its numbers and the endpoint are, one a line, for people and scripts."""
    from jec_assets.reports.calibration_page import NUMBERS_KEY, PAGE_KEY
    from jec_assets.serving.served import ENDPOINT_KEY, load_endpoint

    storage = storage_of(settings_now())
    if not (storage.exists(NUMBERS_KEY) and storage.exists(ENDPOINT_KEY)):
        fail(f"there are no results in {storage.root} yet: run `make demo` or materialize calibration_report")
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
    with recorded(settings_now().work_folder, name, process.pid):
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

    settings = settings_now()
    ended = stop_recorded(settings.work_folder)
    if LocalTriton(settings.work_folder).stop():
        ended.append("triton")
    console.print(f"ended: {', '.join(ended)}" if ended else "nothing was running")


@app.command()
def settings(json_output: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Show every setting: its variable, its value now and what it means."""
    from rich.table import Table

    from jec_assets.settings import Settings

    now = settings_now()
    if json_output:
        print(json.dumps(now.model_dump(mode="json"), indent=1))  # noqa: T201
        return
    table = Table("variable", "value", "meaning")
    for name, field in Settings.model_fields.items():
        mark = "*" if f"JEC_{name.upper()}" in os.environ else ""
        table.add_row(f"JEC_{name.upper()}{mark}", str(getattr(now, name)), field.description or "")
    Console().print(table)
