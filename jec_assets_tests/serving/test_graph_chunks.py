"""A graph small enough to write by hand, in a loop: for each jet the sum over its particles, and its own numbers."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper

from jec_assets.models.families import FAMILIES
from jec_assets.serving.export import export_onnx
from jec_assets.serving.graph_chunks import in_chunks
from jec_assets.serving.runtime import inference_session
from jec_assets.serving.tensors import (
    INPUTS,
    JETS,
    LOG_FACTOR,
    LOG_FACTOR_QUANTILES,
    PARTICLE_COUNT,
    PARTICLES,
    PaddedJets,
)
from jec_assets_tests.serving.conftest import small_network


def by_hand() -> ModelProto:
    """log_factor: sum over real particles of their only feature; quantiles: the jet's two numbers, plus that sum."""
    nodes = [
        helper.make_node("Shape", [PARTICLES], ["slots"], start=1, end=2),
        helper.make_node("Squeeze", ["slots"], ["end"]),
        helper.make_node("Range", ["first", "end", "step"], ["numbers"]),
        helper.make_node("Less", ["numbers", PARTICLE_COUNT], ["real"]),
        helper.make_node("Unsqueeze", ["real", "axis"], ["column"]),
        helper.make_node("Where", ["column", PARTICLES, "nothing"], ["clean"]),
        helper.make_node("ReduceSum", ["clean", "slot_axis"], [LOG_FACTOR], keepdims=0),
        helper.make_node("Add", [JETS, LOG_FACTOR], [LOG_FACTOR_QUANTILES]),
    ]
    constants = {"first": 0, "step": 1, "axis": [2], "slot_axis": [1]}
    weights = [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in constants.items()]
    weights.append(numpy_helper.from_array(np.array(0, np.float32), "nothing"))
    inputs = [
        helper.make_tensor_value_info(PARTICLES, TensorProto.FLOAT, ["jets", "slots", 1]),
        helper.make_tensor_value_info(PARTICLE_COUNT, TensorProto.INT64, ["jets", 1]),
        helper.make_tensor_value_info(JETS, TensorProto.FLOAT, ["jets", 2]),
    ]
    outputs = [
        helper.make_tensor_value_info(LOG_FACTOR, TensorProto.FLOAT, ["jets", 1]),
        helper.make_tensor_value_info(LOG_FACTOR_QUANTILES, TensorProto.FLOAT, ["jets", 2]),
    ]
    graph = helper.make_graph(nodes, "by_hand", inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(0, 40), min_size=1, max_size=30),
    slots_at_once=st.sampled_from([1, 7, 64, 1 << 20]),
    padding=st.integers(0, 5),
)
def test_any_jets_in_chunks_of_any_size_give_the_same(counts: list[int], slots_at_once: int, padding: int) -> None:
    random = np.random.default_rng(len(counts))
    particles = np.full((len(counts), max(*counts, 1) + padding, 1), np.nan, np.float32)
    for jet, count in enumerate(counts):
        particles[jet, :count, 0] = random.integers(1, 100, count)
    batch = PaddedJets(particles, np.array(counts)[:, None], random.normal(size=(len(counts), 2)).astype(np.float32))
    model = in_chunks(by_hand(), slots_at_once)
    onnx.checker.check_model(model, full_check=True)
    answers = inference_session(model.SerializeToString(), threads=1).answers(batch)
    sums = np.nansum(particles, axis=1)
    np.testing.assert_array_equal(answers[LOG_FACTOR], sums)
    np.testing.assert_array_equal(answers[LOG_FACTOR_QUANTILES], batch.jets + sums)


def test_a_count_beyond_the_slots_reads_the_slots_that_there_are() -> None:
    particles, jets = np.ones((3, 4, 1), np.float32), np.zeros((3, 2), np.float32)
    batch = PaddedJets(particles, np.array([[2], [2**62], [4]]), jets)
    for slots_at_once in (1, 1 << 20):
        session = inference_session(in_chunks(by_hand(), slots_at_once).SerializeToString(), threads=1)
        assert session.log_factors(batch).tolist() == [[2], [4], [4]]


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_are_there_once_and_normalizations_nowhere(family: str) -> None:
    network = small_network(family, seed=1)
    exported = export_onnx(network)
    graph = onnx.load_from_string(exported).graph
    assert tuple(value.name for value in graph.input) == INPUTS
    numbers = sum(int(np.prod(weight.dims)) for weight in graph.initializer)
    assert numbers < 1.2 * network.parameter_count + 500
    constants = {weight.name for weight in graph.initializer}
    for branch in (attribute.g for node in graph.node for attribute in node.attribute if attribute.g.node):
        assert not any(attribute.g.initializer for node in branch.node for attribute in node.attribute)
        for node in branch.node:
            assert node.op_type != "BatchNormalization"
            assert not (node.input and constants.issuperset(node.input)), f"{node.op_type} is left to every request"
