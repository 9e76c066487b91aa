"""A version's README: what people want to know before they use a model.

Belongs here: the text. Does not belong here: the record it is made from (`record.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jec_assets.jets.features import FEATURE_SETS
from jec_assets.serving.tensors import INPUTS, JETS, OUTPUTS, PARTICLE_COUNT, PARTICLES, output_tensors
from jec_assets.serving.warm_up import LABELS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jec_assets.jets.training_range import TrainingRange
    from jec_assets.serving.record import ModelCard, PublishedModel

NOT_ON_RECORD = "not on record"


def readme(model: PublishedModel) -> str:
    """The model card, Markdown."""
    card = model.card
    sections = [
        f"# {model.title}\n\nPredicts log(genJetPt / jetPt) of a jet from its particles: exp of it times the jet's pT "
        "and mass is the calibrated jet. It was trained on simulation; data still need the residual correction.",
        _section("Provenance", _table(("what", "value"), _provenance(model))),
        _section("Trained on", _table(("what", "digest"), card.data_digests.items())),
        _section("Losses", _table(("split", "mean loss"), ((split, f"{loss:.6g}") for split, loss in _sorted(card)))),
        _section("Where it is valid", _range_text(card.training_range)),
        _section("Hyperparameters", _settings_text(card.hyperparameters)),
        _section("Training", _settings_text(card.training)),
        _section("What goes in", _inputs_text(card)),
        _section("What comes out", _outputs_text(card)),
        _section("How to call it", _calls(model)),
    ]
    return "\n\n".join(sections) + "\n"


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n{text}"


def _sorted(card: ModelCard) -> list[tuple[str, float]]:
    return sorted(card.losses.items())


def _provenance(model: PublishedModel) -> list[tuple[str, object]]:
    card = model.card
    return [
        ("published", model.published),
        ("digest of the network", card.network_digest),
        ("digest of model.onnx", model.onnx_digest),
        ("feature set", card.feature_set),
        ("computes in", card.numbers),
        ("largest difference between ONNX and torch", f"{card.export_difference:.1e}"),
        *((f"made with {name}", version) for name, version in sorted(card.package_versions.items())),
    ]


def _range_text(limits: TrainingRange | None) -> str:
    if limits is None:
        return f"The range of the training jets is {NOT_ON_RECORD}: nobody knows where the correction is a guess."
    rows = (
        ("pT, with the standard correction", f"{limits.pt[0]:.4g}", f"{limits.pt[1]:.4g}", "GeV"),
        ("absolute pseudorapidity", f"{limits.abs_eta[0]:.4g}", f"{limits.abs_eta[1]:.4g}", "1"),
        ("constituents", limits.constituents[0], limits.constituents[1], "1"),
    )
    table = _table(("of the training jets", "smallest", "largest", "unit"), rows)
    return f"{table}\n\nOutside of this range the correction is a guess."


def _settings_text(settings: Mapping[str, object]) -> str:
    return _table(("setting", "value"), sorted(settings.items())) if settings else f"{NOT_ON_RECORD.capitalize()}."


def _inputs_text(card: ModelCard) -> str:
    tensors = _table(
        ("tensor", "type", "shape"),
        (
            (PARTICLES, "float32", f"(jets, slots, {len(card.particle_features)})"),
            (PARTICLE_COUNT, "int64", "(jets, 1): particles of each jet, 1 to slots; later slots are ignored"),
            (JETS, "float32", f"(jets, {len(card.jet_features)})"),
        ),
    )
    features = FEATURE_SETS.get(card.feature_set)
    particle_units = {each.name: each.unit for each in features.particle_features} if features else {}
    jet_units = {each.name: each.unit for each in features.jet_features} if features else {}
    return "\n\n".join(
        [
            tensors + "\n\nPhysical quantities: the network standardizes them itself.",
            f"### Features of `{PARTICLES}`, in order\n\n" + _features(card.particle_features, particle_units),
            f"### Features of `{JETS}`, in order\n\n" + _features(card.jet_features, jet_units),
        ]
    )


def _features(names: tuple[str, ...], units: Mapping[str, str]) -> str:
    rows = ((place, name, units.get(name, NOT_ON_RECORD)) for place, name in enumerate(names))
    return _table(("place", "feature", "unit"), rows)


def _outputs_text(card: ModelCard) -> str:
    rows = (
        (name, "float32", f"(jets, {OUTPUTS[name]})", "; ".join(LABELS[name]))
        for name in output_tensors(len(card.outputs))
    )
    return _table(("tensor", "type", "shape", "meaning"), rows)


def _calls(model: PublishedModel) -> str:
    family, version = model.family, model.version
    inputs = ", ".join(f"`{name}`" for name in INPUTS)
    return f"""\
In Python, with an awkward array of jets or events:

```python
from jec_assets.serving.calibrator import Calibrator

with Calibrator("127.0.0.1:8000", "{family}") as calibrator:
    calibrated_pt = calibrator.factors(events) * events.Jet_pt
```

With any other client of Triton's protocol (KServe v2), by HTTP or gRPC, with the inputs {inputs}:

```
POST http://127.0.0.1:8000/v2/models/{family}/versions/{version}/infer
```

Who names no version gets the one that is served."""


def _table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
