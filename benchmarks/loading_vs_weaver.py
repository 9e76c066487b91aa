"""An epoch of shuffled, standardized, clipped batches, against weaver-core's loader.

`python -m benchmarks.loading_vs_weaver`: at least 150,000 jets with 7 features per particle and 12 per jet, in batches
of 512, one thread. The jets are those of the JetNTuple files in JEC_SOURCE, a file several times if they are few, or
synthetic ones with 35 particles on average. Both sides take the jets with a matched particle-level jet above 20 GeV and
give their log(genJetPt / jetPt); features are branches as they stand.

weaver-core selects and computes anew each epoch from the ROOT files, a fifth of each file at a time, which was the
fastest of what was tried; it pads to 128 particles, with the mask that its networks ask for. Ours reads memory-mapped
arrays that are made of the files once, untimed; batches are packed, and what is timed includes the standardization that
is otherwise the network's. Neither uses workers. Jets are matched by their event and rank, and each feature of each
particle must be the same to 1e-5.
"""

from __future__ import annotations

import os
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.jets import synthetic_jets
from benchmarks.rounds import Arrays, Claim, Side, load_arrays, run, save_arrays

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jec_assets.jets.sources import JetFile

JETS, BATCH_SIZE, SLOTS = 150_000, 512, 128
CLIP = 10.0
PARTICLE_BRANCHES = ("PF_pT", "PF_dEta", "PF_dPhi", "PF_dR", "PF_dTheta", "PF_mass", "PF_fromPV")
JET_BRANCHES = (
    *("jetPt", "jetEta", "jetPhi", "jetMass", "jetArea", "jetRawPt"),
    *("QG_ptD", "QG_axis2", "QG_mult", "rhoAll", "Pileup_nPU", "PV_npvsGood"),
)
SELECTION = ("jetGenMatch", "genJetPt")
MIN_GEN_PT = 20.0
FETCHED = 0.2  # of each file at a time, by weaver-core
IDS = ("run", "lumi", "event", "jetPtOrder")
TREE = "AK4jets/jetTree"
# One jet in so many is compared.
COMPARED = 40


def prepare(folder: Path) -> None:
    """The files' list, the arrays made of them, and weaver-core's description of the same features."""
    from jec_assets.jets.cache import open_cache
    from jec_assets.models.inputs import Standardization

    files = _enough(_files(folder))
    (folder / "files.txt").write_text("\n".join(file.url for file in files))
    _write_arrays(folder, files)
    constants = Standardization.fit(open_cache(folder).packed)
    save_arrays(folder / "constants.npz", vars(constants))
    for name, ids in (("timed", ()), ("compared", IDS)):
        (folder / f"{name}.yaml").write_text(_description(constants, ids))


def ours(folder: Path) -> Side:
    """The project's loader and the network's own standardization."""
    import torch

    from jec_assets.jets.cache import open_cache
    from jec_assets.models.inputs import Standardization
    from jec_assets.models.network import Standardizer
    from jec_assets.training.loader import BatchPlan, ShuffledBatches

    jets = open_cache(folder)
    constants = Standardization(**load_arrays(folder / "constants.npz"))
    particles, features = Standardizer(len(PARTICLE_BRANCHES)), Standardizer(len(JET_BRANCHES))
    particles.set(constants.particle_center, constants.particle_scale)
    features.set(constants.jet_center, constants.jet_scale)
    batches = ShuffledBatches(jets, BatchPlan(BATCH_SIZE, seed=1), torch.device("cpu"))

    def epoch() -> Iterator[tuple[Any, torch.Tensor, torch.Tensor]]:
        with torch.inference_mode():
            for batch in batches.epoch(1):
                yield batch, particles(batch.particles), features(batch.jets)

    def results() -> Arrays:
        ids, rank = jets.labels, np.load(folder / "rank.npy")
        found = []
        for batch, standardized, per_jet in epoch():
            offsets = batch.offsets.numpy()
            for place, jet in enumerate(batch.indices):
                own = standardized[offsets[place] : min(offsets[place + 1], offsets[place] + SLOTS)]
                identity = [int(ids.run[jet]), int(ids.lumi[jet]), int(ids.event[jet]), int(rank[jet])]
                found.append((identity, own.numpy(), per_jet[place].numpy(), batch.target[place].numpy()))
        return _compared(found)

    return Side(lambda: sum(len(batch) for batch, *_ in epoch()), results)


def peer(folder: Path) -> Side:
    """weaver-core's dataset in torch's loader, as its training has them."""
    from torch.utils.data import DataLoader
    from weaver.utils.dataset import SimpleIterDataset

    files = {"jets": (folder / "files.txt").read_text().splitlines()}
    timed, compared = (
        SimpleIterDataset(files, str(folder / f"{name}.yaml"), fetch_step=FETCHED, name="train")
        for name in ("timed", "compared")
    )
    loader = DataLoader(timed, batch_size=BATCH_SIZE)

    def results() -> Arrays:
        found = []
        for inputs, target, ids in compared:
            padded, count = inputs["particles"], int(inputs["mask"].sum())
            identity = [int(ids[name]) for name in IDS]
            found.append((identity, padded[:, :count].T, inputs["jets"], target["target"]))
        return _compared(found)

    return Side(lambda: sum(len(target["target"]) for _, target, _ in loader), results)


def check(ours: Arrays, peer: Arrays) -> None:
    """The same jets, with the same numbers to 1e-5."""
    for name in ("ids", "offsets"):
        np.testing.assert_array_equal(ours[name], peer[name])
    for name in ("particles", "jets", "target"):
        np.testing.assert_allclose(ours[name], peer[name], rtol=1e-5, atol=1e-5)


CLAIM = Claim("loading_vs_weaver", prepare, ours, peer, check)


def _compared(found: list[tuple[list[int], NDArray[Any], NDArray[Any], NDArray[Any]]]) -> Arrays:
    """Some of the jets (identity, particles, features, target), each once, by identity."""
    chosen = {tuple(jet[0]): jet[1:] for jet in found if sum(jet[0]) % COMPARED == 0}
    ids = sorted(chosen)
    particles, jets, target = zip(*(chosen[identity] for identity in ids), strict=True)
    offsets = np.cumsum([0, *map(len, particles)])
    return {
        "ids": np.array(ids, np.uint64),
        "particles": np.concatenate(particles),
        "offsets": offsets,
        "jets": np.stack(jets),
        "target": np.array(target),
    }


def _files(folder: Path) -> list[JetFile]:
    """The files of JEC_SOURCE, or synthetic ones."""
    from jec_assets.jets.sources import list_files

    source = os.environ.get("JEC_SOURCE", "")
    if not source:
        source = str(folder / "source")
        for seed in range(3):
            _write_synthetic(Path(source) / f"jets_{seed}.root", JETS // 3, seed)
    return list_files(source)


def _write_synthetic(path: Path, jets: int, seed: int) -> None:
    import awkward as ak

    from jec_assets_tests.toy_jets import write_jet_file

    random, counts = np.random.default_rng(seed), np.diff(synthetic_jets(jets, SLOTS, seed)["offsets"])
    particles = {name: random.lognormal(0, 1, counts.sum()) for name in PARTICLE_BRANCHES}
    scalars = {name: random.lognormal(4, 0.7, jets) for name in (*JET_BRANCHES, "genJetPt")}
    ids = {
        "run": np.ones(jets),
        "lumi": np.full(jets, seed),
        "event": np.arange(jets) // 2,
        "jetGenMatch": np.ones(jets),
    }
    jagged = {name: ak.unflatten(values, counts) for name, values in particles.items()}
    write_jet_file(path, {**jagged, **scalars, **ids, "jetPtOrder": np.arange(jets) % 2})


def _enough(files: list[JetFile]) -> list[JetFile]:
    """The files, again and again until they hold enough jets."""
    import uproot

    taken: list[JetFile] = []
    jets = 0
    for file in cycle(files):
        if jets >= JETS and len(taken) >= len(files):
            return taken
        with uproot.open(file.url) as opened:
            jets += opened[TREE].num_entries
        taken.append(file)
    raise AssertionError(f"no files in {os.environ['JEC_SOURCE']}")


def _write_arrays(folder: Path, files: list[JetFile]) -> None:
    """All jets of the files in the form of `jec_assets.jets.cache`, and their ranks in their events."""
    from jec_assets.jets.packed import PackedJets
    from jec_assets.jets.reading import read_columns

    branches = (*PARTICLE_BRANCHES, *JET_BRANCHES, *SELECTION, *IDS)
    chunks = [chunk for file in files for chunk in read_columns(file, branches)]
    scalars = {
        name: np.concatenate([chunk.scalars[name] for chunk in chunks]) for name in (*JET_BRANCHES, *SELECTION, *IDS)
    }
    particles = [
        np.concatenate([chunk.particles[name].astype(np.float32) for chunk in chunks]) for name in PARTICLE_BRANCHES
    ]
    offsets = np.cumsum(np.concatenate([[0], *(np.diff(chunk.offsets) for chunk in chunks)]))
    selected = np.flatnonzero((scalars["jetGenMatch"] == 1) & (scalars["genJetPt"] > MIN_GEN_PT))
    with np.errstate(divide="ignore"):  # of jets without a match
        target = np.log(scalars["genJetPt"] / scalars["jetPt"])
    features = np.stack([scalars[name].astype(np.float32) for name in JET_BRANCHES], axis=1)
    jets = PackedJets(np.stack(particles, axis=1), offsets, features).take(selected)
    unused = np.zeros(len(jets), np.float32)
    arrays = {
        **vars(jets),
        **{name: scalars[branch][selected] for name, branch in zip(("run", "lumi", "event", "rank"), IDS, strict=True)},
        **dict.fromkeys(("gen_pt", "gen_eta", "event_weight"), unused),
        "flavor": unused.astype(np.int32),
        "target": target[selected],
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)


def _description(constants: Any, ids: tuple[str, ...]) -> str:
    """weaver-core's YAML: a feature is [branch, subtract, multiply, least, most, padding]."""
    import yaml

    def features(names: tuple[str, ...], center: NDArray[Any], scale: NDArray[Any]) -> list[list[Any]]:
        rows = zip(names, center.tolist(), (1 / scale.astype(float)).tolist(), strict=True)
        return [[name, middle, factor, -CLIP, CLIP, 0] for name, middle, factor in rows]

    particles = features(PARTICLE_BRANCHES, constants.particle_center, constants.particle_scale)
    jets = features(JET_BRANCHES, constants.jet_center, constants.jet_scale)
    description: dict[str, Any] = {
        "treename": TREE,
        "selection": f"(jetGenMatch == 1) & (genJetPt > {MIN_GEN_PT})",
        "new_variables": {"real": f"ak.ones_like({PARTICLE_BRANCHES[0]})"},
        "preprocess": {"method": "manual"},
        "inputs": {
            "particles": {"length": SLOTS, "pad_mode": "constant", "vars": particles},
            "mask": {"length": SLOTS, "pad_mode": "constant", "vars": [["real", None]]},
            "jets": {"length": None, "vars": jets},
        },
        "labels": {"type": "custom", "value": {"target": "np.log(genJetPt / jetPt)"}},
        "monitor_variables": list(ids),
    }
    text: str = yaml.safe_dump(description, sort_keys=False)
    return text


if __name__ == "__main__":
    run(CLAIM)
