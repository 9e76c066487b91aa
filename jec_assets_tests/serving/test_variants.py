from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest

from jec_assets.jets.packed import PackedJets
from jec_assets.models.prediction import predict
from jec_assets.serving import variants
from jec_assets.serving.runtime import inference_session
from jec_assets.serving.variants import Variant, try_variants
from jec_assets_tests.serving.conftest import small_network


@pytest.fixture(scope="module")
def target(jets: PackedJets) -> np.ndarray:
    """What the network predicts, give or take a tenth."""
    return predict(small_network("particle_net", seed=1), jets) + np.random.default_rng(1).normal(0, 0.1, len(jets))


@pytest.fixture(scope="module")
def tried(jets: PackedJets, target: np.ndarray) -> dict[str, Variant]:
    return {each.name: each for each in try_variants(small_network("particle_net", seed=1), jets, target)}


def test_variants_compute_in_coarser_numbers(tried: dict[str, Variant], jets: PackedJets) -> None:
    assert set(tried) == {"int8", "float16"}
    expected = predict(small_network("particle_net", seed=1), jets)
    for variant in tried.values():
        assert variant.onnx is not None
        found = inference_session(variant.onnx, threads=1).predict(jets)
        assert 0 < np.abs(found - expected).max() < 0.1
        assert variant.speed > 0
    kinds = {name: _weight_types(variant.onnx) for name, variant in tried.items()}
    assert onnx.TensorProto.INT8 in kinds["int8"]
    assert onnx.TensorProto.FLOAT16 in kinds["float16"]


def test_changes_are_those_of_loss_and_median(tried: dict[str, Variant], jets: PackedJets, target: np.ndarray) -> None:
    before = predict(small_network("particle_net", seed=1), jets).astype(np.float64)
    for variant in tried.values():
        assert variant.onnx is not None
        after = inference_session(variant.onnx, threads=1).predict(jets).astype(np.float64)
        losses = [np.abs(target - each)[np.abs(target) < 1].sum() for each in (before, after)]
        medians = [np.median(np.exp(each - target)) for each in (before, after)]
        assert variant.loss_change == pytest.approx(losses[1] / losses[0] - 1, abs=1e-6)
        assert variant.median_change == pytest.approx(medians[1] / medians[0] - 1, abs=1e-6)


def test_the_company_of_a_jet_moves_its_answer_in_integers_alone(tried: dict[str, Variant], jets: PackedJets) -> None:
    assert tried["float16"].drift < 1e-6
    assert tried["int8"].drift > 1e-5
    assert not tried["int8"].holds
    session = inference_session(tried["int8"].onnx or b"", threads=1)
    alone = np.array([session.predict(jets.slice(place, place + 1))[0] for place in range(100)])
    assert tried["int8"].drift == np.abs(session.predict(jets.slice(0, 100)) - alone).max()


def test_a_variant_holds_within_a_thousandth_of_both() -> None:
    good = Variant("int8", b"", loss_change=-0.0009, median_change=0.0009, drift=1e-6, speed=0.5)
    assert good.holds
    assert not replace(good, loss_change=0.0011).holds
    assert not replace(good, median_change=-0.0011).holds
    assert not replace(good, median_change=np.nan).holds
    assert not replace(good, drift=1e-4).holds
    assert not replace(good, drift=np.nan).holds


def test_a_variant_that_cannot_be_computed_is_told(
    monkeypatch: pytest.MonkeyPatch, jets: PackedJets, target: np.ndarray
) -> None:
    def broken(graph: onnx.ModelProto) -> onnx.ModelProto:
        copy = onnx.ModelProto()
        copy.CopyFrom(graph)
        copy.graph.node[0].op_type = "NoSuchOperation"
        return copy

    monkeypatch.setattr(variants, "VARIANTS", {"broken": broken})
    (variant,) = try_variants(small_network("particle_net", seed=1), jets, target)
    assert variant.onnx is None
    assert not variant.holds
    assert "NoSuchOperation" in variant.finding


def test_jets_without_loss_are_refused(jets: PackedJets) -> None:
    with pytest.raises(ValueError, match="generator-level truth"):
        try_variants(small_network("pfn", seed=1), jets.slice(0, 0), np.zeros(0))


def _weight_types(model: bytes | None) -> set[int]:
    assert model is not None
    return {weight.data_type for weight in onnx.load_from_string(model).graph.initializer}
