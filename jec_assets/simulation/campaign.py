"""Simulating a sample: pileup, then the standard correction, then the jets.

Belongs here: the order of the stages, going on after an interruption, the manifest. Does not belong here: what a unit
of work does (`units.py`) and processes (`workers.py`).

The standard correction is derived from events of its own, and always from the nominal tune, as an experiment's is: the
jets of another tune then show how far a calibration depends on the generator. The same seed and code give the same
correction; `SimulationPlan.correction` names the file of another sample where either differs.

The folder of a finished sample holds the ROOT files, the correction as correctionlib JSON, and `simulation.json`, which
is written last and says that everything is there. Until then, `.simulation` keeps what is needed to go on.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from jec_assets.correction import CorrectionFile, Provenance, correctionlib_json, derive
from jec_assets.simulation.applied_correction import ShippedCorrection
from jec_assets.simulation.errors import SampleExistsError, SimulationPackagesMissingError
from jec_assets.simulation.plan import COLLISIONS_PER_UNIT, MATCHED_JETS_PER_UNIT, SimulationSummary, shares
from jec_assets.simulation.tunes import NOMINAL_TUNE, TUNES
from jec_assets.simulation.units import (
    CORRECTION_STAGE,
    JETS_STAGE,
    PILEUP_STAGE,
    CorrectionTask,
    FileRecord,
    JetsTask,
    PileupTask,
    Seed,
    make_jets,
    make_matched_jets,
    make_pileup,
    read_matched_jets,
    read_record,
)
from jec_assets.simulation.workers import Workers, unit_workers
from jec_assets.storage import code_digest, digest_file, package_versions, write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from jec_assets.correction import AppliedCorrection
    from jec_assets.simulation.plan import Progress, SimulationPlan, Stage

MANIFEST = "simulation.json"
WORK_FOLDER = ".simulation"
_STARTED = "started.json"
_PACKAGES = ("pythia8mc", "fastjet", "numpy", "awkward", "uproot")


class _Task(Protocol):
    @property
    def size(self) -> int: ...
    @property
    def finished(self) -> bool: ...


Task = TypeVar("Task", bound=_Task)


def simulate(plan: SimulationPlan, progress: Progress) -> SimulationSummary:
    """Make the sample, go on with one that was interrupted, or return at once where it is finished.

    Raises `SampleExistsError` where the folder holds other jets, `SimulationPackagesMissingError` where PYTHIA or
    FastJet is missing, `TooFewJetsError` where `plan.derivation_jets` are too few for the correction.
    """
    if _is_finished(plan):
        return _summary(plan, reused=True)
    require_packages()
    _start(plan)
    pileup = _pileup_tasks(plan)
    matched = _correction_tasks(plan, pileup)
    with unit_workers(plan.jobs, max(len(pileup), len(matched), len(plan.file_names))) as workers:
        stages = _Stages(workers, progress)
        stages.complete("pileup", make_pileup, pileup)
        stages.complete("correction", make_matched_jets, matched)
        shipped = _given(plan.correction) if plan.correction else _derived(plan, matched)
        files = _jets_tasks(plan, pileup, shipped.correction)
        stages.complete("jets", make_jets, files)
    _finish(plan, shipped, [read_record(task) for task in files])
    return _summary(plan, reused=False)


def require_packages() -> None:
    """Raise `SimulationPackagesMissingError` unless what this package needs beyond the base dependencies is there."""
    missing = [name for name in ("pythia8mc", "fastjet") if importlib.util.find_spec(name) is None]
    if missing:
        raise SimulationPackagesMissingError(
            f"simulating jets needs {' and '.join(missing)}: pip install 'jec-assets[simulation]'"
        )


class _Stages:
    """The stages of a simulation, one after the other, on the same processes."""

    def __init__(self, workers: Workers, progress: Progress) -> None:
        self._workers, self._progress = workers, progress

    def complete(
        self, stage: Stage, work: Callable[[Task, Callable[[int], None]], None], tasks: Sequence[Task]
    ) -> None:
        """Do the tasks that no earlier simulation has finished; a stage without tasks is none."""
        if not tasks:
            return
        total = sum(task.size for task in tasks)
        missing = [task for task in tasks if not task.finished]
        before = total - sum(task.size for task in missing)
        self._progress(before, total, stage)
        self._workers.run(work, missing, lambda done: self._progress(before + done, total, stage))


def _pileup_tasks(plan: SimulationPlan) -> list[PileupTask]:
    return [
        PileupTask(_work_folder(plan) / f"pileup_{unit:03d}.npz", Seed(plan.seed, PILEUP_STAGE, unit), size)
        for unit, size in enumerate(shares(plan.pileup_collisions, COLLISIONS_PER_UNIT))
    ]


def _correction_tasks(plan: SimulationPlan, pileup: list[PileupTask]) -> list[CorrectionTask]:
    """None where the correction is given."""
    pools = tuple(task.path for task in pileup)
    return [
        CorrectionTask(
            _work_folder(plan) / f"matched_{unit:03d}.npz", Seed(plan.seed, CORRECTION_STAGE, unit), size, pools
        )
        for unit, size in enumerate(shares(0 if plan.correction else plan.derivation_jets, MATCHED_JETS_PER_UNIT))
    ]


def _jets_tasks(plan: SimulationPlan, pileup: list[PileupTask], correction: AppliedCorrection) -> list[JetsTask]:
    return [
        JetsTask(
            path=plan.folder / name,
            draft=_work_folder(plan) / name,
            seed=Seed(plan.seed, JETS_STAGE, unit),
            size=size,
            tune=plan.tune,
            run=plan.run,
            candidates=plan.candidates,
            pools=tuple(task.path for task in pileup),
            correction=correction,
        )
        for unit, (name, size) in enumerate(zip(plan.file_names, plan.file_sizes, strict=True))
    ]


def _is_finished(plan: SimulationPlan) -> bool:
    """Whether the folder holds exactly this sample; `SampleExistsError` where it holds another one."""
    manifest = plan.folder / MANIFEST
    if not manifest.exists():
        return False
    stored = json.loads(manifest.read_text())
    if stored["recipe"] != plan.recipe:
        raise SampleExistsError(
            f"{plan.folder} holds another sample ({stored['recipe']}): choose another folder, or remove this one"
        )
    broken = [
        record["name"] for record in stored["files"] if not _is_whole(plan.folder / record["name"], record["digest"])
    ]
    if broken:
        raise SampleExistsError(
            f"{plan.folder} has lost {', '.join(broken)}, or they were changed: remove the folder to simulate it anew"
        )
    return True


def _is_whole(path: Path, digest: str) -> bool:
    return path.exists() and digest_file(path) == digest


def _start(plan: SimulationPlan) -> None:
    """Note what is being simulated; an unfinished sample of other code or packages begins anew."""
    started = _work_folder(plan) / _STARTED
    inputs = _inputs(plan)
    files = sorted(plan.folder.glob("*.root"))
    if started.exists():
        before = json.loads(started.read_text())
        if before == inputs:
            return
        if before["recipe"] != plan.recipe:
            raise SampleExistsError(
                f"{plan.folder} holds an unfinished sample ({before['recipe']}): go on with the same settings, choose "
                "another folder, or remove this one"
            )
    elif files:
        raise SampleExistsError(f"{plan.folder} holds other files ({files[0].name}, ...): choose another folder")
    for path in files:
        path.unlink()
    shutil.rmtree(_work_folder(plan), ignore_errors=True)
    write_atomically(started, json.dumps(inputs).encode())


def _derived(plan: SimulationPlan, tasks: list[CorrectionTask]) -> ShippedCorrection:
    """The correction of the matched jets, with where it comes from."""
    jets = read_matched_jets(tasks)
    correction = derive(jets)
    provenance = Provenance(
        source=f"PYTHIA 8, {TUNES[NOMINAL_TUNE].title}, parametrized detector, pileup; seed {plan.seed}",
        jets=len(jets),
        selection="raw pT > 21 GeV, particle-level jet within 0.2, no cut on the corrected pT",
        versions=_inputs(plan)["versions"],
    )
    name, content = f"standard_correction_{correction.version}.json", correctionlib_json(correction, provenance)
    return ShippedCorrection(correction, name, content, correction.digest, len(jets))


def _given(path: Path) -> ShippedCorrection:
    """The correction of another sample, shipped as it is."""
    file = CorrectionFile.read(path)
    return ShippedCorrection(file, path.name, file.content, digest_file(path), None)


def _finish(plan: SimulationPlan, shipped: ShippedCorrection, files: list[FileRecord]) -> None:
    """Ship the correction, then write the manifest, then forget how it came about."""
    write_atomically(plan.folder / shipped.name, shipped.content.encode())
    manifest = {
        **_inputs(plan),
        "run": plan.run,
        "correction": {"name": shipped.name, "digest": shipped.digest, "jets": shipped.jets},
        "jets": sum(record.jets for record in files),
        "files": [asdict(record) for record in files],
    }
    write_atomically(plan.folder / MANIFEST, (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode())
    shutil.rmtree(_work_folder(plan))


def _inputs(plan: SimulationPlan) -> dict[str, Any]:
    """Everything on which the bytes of the sample depend."""
    import jec_assets.correction
    import jec_assets.simulation

    return {
        "recipe": plan.recipe,
        "code": code_digest(jec_assets.correction, jec_assets.simulation),
        "versions": package_versions(*_PACKAGES),
    }


def _summary(plan: SimulationPlan, *, reused: bool) -> SimulationSummary:
    manifest = plan.folder / MANIFEST
    stored = json.loads(manifest.read_text())
    return SimulationSummary(
        jets=stored["jets"],
        files=tuple(plan.folder / record["name"] for record in stored["files"]),
        correction=plan.folder / stored["correction"]["name"],
        manifest=manifest,
        reused=reused,
    )


def _work_folder(plan: SimulationPlan) -> Path:
    return plan.folder / WORK_FOLDER
