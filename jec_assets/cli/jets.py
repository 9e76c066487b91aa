"""Commands about jets and corrections: `jec simulate`, `jec correction`.

Belongs here: what makes jet files or is made of them. Does not belong here: networks.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from jec_assets.cli.app import app, console, fail, settings_now, storage_of


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
    correction: Annotated[
        Path | None, typer.Option(help="Apply the standard correction of this correctionlib file, derive none.")
    ] = None,
) -> None:
    """Simulate jets: PYTHIA 8, pileup, a parametrized detector, FastJet, the standard correction, JetNTuple files."""
    from jec_assets.progress import StageBars
    from jec_assets.simulation import SimulationError, SimulationPlan
    from jec_assets.simulation import simulate as run

    try:
        processes = jobs or os.cpu_count() or 1
        plan = SimulationPlan(
            jets, out, seed=seed, tune=tune, jobs=processes, candidates=candidates, correction=correction
        )
        with StageBars(console) as bars:
            summary = run(plan, bars.update)
    except SimulationError as fault:
        fail(str(fault))
    verb = "were there already" if summary.reused else "simulated"
    console.print(f"{summary.jets} jets {verb}: {len(summary.files)} files in {out}", soft_wrap=True)
    console.print(f"standard correction: {summary.correction.name}", soft_wrap=True)


@app.command("correction")
def derive_correction(
    source: Annotated[str, typer.Argument(help="Jet files: a folder, a glob, an s3:// prefix or root:// URLs.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="correctionlib JSON, for analysts and coffea.")],
    processes: Annotated[int, typer.Option(help="Processes that read; 0: one per core.")] = 0,
) -> None:
    """Derive a standard correction (L1 and L2L3) from the training events of jet files."""
    from jec_assets.correction import CorrectionError
    from jec_assets.jets.manifest import NoJetsError, SourceUnavailableError
    from jec_assets.jets.sources import SourceError, list_files
    from jec_assets.jets.standard_correction import MixedCorrectionsError, derive_from_files
    from jec_assets.pools import worker_pool
    from jec_assets.progress import StageBars
    from jec_assets.storage import write_atomically

    try:
        files = list_files(source, s3=storage_of(settings_now()).s3)
        workers = max(1, min(processes or os.cpu_count() or 1, len(files)))
        with worker_pool(workers) as pool, StageBars(console) as bars:
            found = derive_from_files(
                files, pool, lambda _, left: bars.update(len(files) - left, len(files), "files read")
            )
        write_atomically(out, found.correctionlib_json().encode())
    except (SourceError, SourceUnavailableError, NoJetsError, MixedCorrectionsError, CorrectionError) as fault:
        fail(str(fault))
    for error in found.errors:
        console.print(error, style="yellow", soft_wrap=True, highlight=False, markup=False)
    console.print(f"derived from {found.jets:,} jets: {out}", soft_wrap=True, highlight=False)
