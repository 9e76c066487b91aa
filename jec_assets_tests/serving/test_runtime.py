from __future__ import annotations

import onnx
import pytest
from onnx import TensorProto, helper

from jec_assets.jets.features import EXTENDED
from jec_assets.serving.runtime import CPU, CUDA, UnusableModelError, inference_session


def test_sessions_record_what_they_use(pfn_onnx: bytes) -> None:
    session = inference_session(pfn_onnx, threads=2)
    assert session.providers == CPU
    assert session.threads == 2
    assert session.feature_counts == (len(EXTENDED.particle_features), len(EXTENDED.jet_features))
    options = session.session.get_session_options()
    assert options.intra_op_num_threads == 2
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_providers_are_those_in_use_and_not_those_asked_for(pfn_onnx: bytes) -> None:
    import onnxruntime

    asked = [provider for provider in CUDA if provider in onnxruntime.get_available_providers()]
    session = inference_session(pfn_onnx, threads=1, providers=asked)
    assert session.providers == tuple(session.session.get_providers())


def test_bytes_that_are_no_model_are_refused() -> None:
    with pytest.raises(UnusableModelError, match="model of 7 bytes"):
        inference_session(b"garbage", threads=1)


def test_names_that_are_no_text_are_refused(pfn_onnx: bytes) -> None:
    with pytest.raises(UnusableModelError, match="can't decode byte 0xff"):
        inference_session(pfn_onnx.replace(b"log_factor", b"log_facto\xff"), threads=1)


def test_a_model_with_other_tensors_is_refused() -> None:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    other = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "graph", [value], [other])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    with pytest.raises(UnusableModelError, match=r"\['x'\]"):
        inference_session(model.SerializeToString(), threads=1)
