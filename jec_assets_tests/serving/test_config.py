from __future__ import annotations

import numpy as np
import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig, ModelInstanceGroup

from jec_assets.serving.config import (
    InstanceSettings,
    ModelConfigError,
    ModelWidths,
    Pointer,
    config_pbtxt,
    pointer_of,
    repointed,
)
from jec_assets.serving.graph_levels import GraphLevel, level_in_triton
from jec_assets.serving.warm_up import WARM_UP_BATCHES, WARM_UP_PARTICLES, attached_files

POINTER = Pointer(3, (1, 2), (1, 5, 2), {"3/model.onnx": "a digest"})


def parsed(text: bytes) -> ModelConfig:
    return text_format.Parse(text, ModelConfig())


def test_the_configuration_says_what_production_triton_needs() -> None:
    settings = InstanceSettings(threads=2, instances=4)
    config = parsed(config_pbtxt("pfn", POINTER, ModelWidths(14, 9), settings, '{"version": 3}'))
    assert (config.name, config.backend, config.max_batch_size) == ("pfn", "onnxruntime", 100_000)
    assert {tensor.name: list(tensor.dims) for tensor in config.input} == {
        "particles": [-1, 14],
        "particle_count": [1],
        "jets": [9],
    }
    assert [(tensor.name, list(tensor.dims)) for tensor in config.output] == [("log_factor", [1])]
    assert config.HasField("dynamic_batching")
    assert [group.count for group in config.instance_group] == [4]
    assert config.parameters["intra_op_thread_count"].string_value == "2"
    assert config.parameters["model_record"].string_value == '{"version": 3}'
    assert list(config.version_policy.specific.versions) == [1, 2, 3]


@pytest.mark.parametrize(
    ("on_gpus", "kind"), [(False, ModelInstanceGroup.KIND_CPU), (True, ModelInstanceGroup.KIND_GPU)]
)
def test_instances_are_where_they_shall_be(on_gpus: bool, kind: int) -> None:
    config = parsed(config_pbtxt("pfn", POINTER, ModelWidths(14, 9), InstanceSettings(on_gpus=on_gpus), "{}"))
    assert [group.kind for group in config.instance_group] == [kind]


def test_quantiles_are_declared_and_labeled() -> None:
    config = parsed(config_pbtxt("pfn", POINTER, ModelWidths(14, 9, 3), InstanceSettings(), ""))
    assert [(tensor.name, list(tensor.dims)) for tensor in config.output] == [
        ("log_factor", [1]),
        ("log_factor_quantiles", [2]),
    ]
    files = attached_files(3)
    lines = {tensor.name: files[tensor.label_filename].decode().splitlines() for tensor in config.output}
    assert [len(lines[tensor.name]) for tensor in config.output] == [1, 2]
    assert lines["log_factor_quantiles"][0].startswith("16 %")
    with pytest.raises(ValueError, match=r"1 or 3 outputs, .* not 2"):
        config_pbtxt("pfn", POINTER, ModelWidths(14, 9, 2), InstanceSettings(), "")


def test_warm_up_requests_are_ones_that_a_model_answers() -> None:
    config = parsed(config_pbtxt("pfn", POINTER, ModelWidths(14, 9), InstanceSettings(), ""))
    assert [request.batch_size for request in config.model_warmup] == list(WARM_UP_BATCHES)
    for request in config.model_warmup:
        assert {name: list(given.dims) for name, given in request.inputs.items()} == {
            "particles": [WARM_UP_PARTICLES, 14],
            "particle_count": [1],
            "jets": [9],
        }
        count = attached_files(1)[f"warmup/{request.inputs['particle_count'].input_data_file}"]
        assert np.frombuffer(count, np.int64).tolist() == [WARM_UP_PARTICLES]


def test_a_pointer_comes_back_and_its_highest_version_is_what_is_served() -> None:
    text = config_pbtxt("pfn", POINTER, ModelWidths(14, 9), InstanceSettings(), "")
    assert pointer_of(text) == POINTER
    by_hand = parsed(text)
    by_hand.version_policy.specific.versions[:] = [7, 4]
    assert pointer_of(text_format.MessageToString(by_hand).encode()).version == 7


def test_pointing_to_another_version_leaves_the_settings() -> None:
    settings = InstanceSettings(threads=2, instances=4, max_batch_size=7)
    first = config_pbtxt("pfn", POINTER, ModelWidths(14, 9), settings, "first")
    second = repointed(first, "pfn.candidate", Pointer(9), ModelWidths(6, 8, 3), "second")
    assert second == config_pbtxt("pfn.candidate", Pointer(9), ModelWidths(6, 8, 3), settings, "second")


@pytest.mark.parametrize(
    "text",
    [
        b"not a configuration",
        b'name: "pfn"',
        b"version_policy { latest { num_versions: 1 } }",
        b'version_policy { specific { versions: 1 } } parameters { key: "served_before" value { string_value: "[" } }',
        b'version_policy { specific { versions: 1 } } parameters { key: "file_digests" value { string_value: "[1]" } }',
    ],
)
def test_a_configuration_that_points_to_nothing_is_refused(text: bytes) -> None:
    with pytest.raises(ModelConfigError):
        pointer_of(text)


@pytest.mark.parametrize(("level", "number"), [("disabled", 2), ("basic", -1), ("extended", 1)])
def test_the_graph_level_is_written_as_production_triton_reads_it(level: GraphLevel, number: int) -> None:
    config = parsed(config_pbtxt("pfn", POINTER, ModelWidths(14, 9), InstanceSettings(graph_level=level), "{}"))
    assert config.optimization.graph.level == number
    assert level_in_triton(config.optimization.graph.level) == level


def test_without_a_graph_level_all_optimizations_are_made() -> None:
    config = parsed(config_pbtxt("pfn", POINTER, ModelWidths(14, 9), InstanceSettings(), "{}"))
    assert not config.HasField("optimization")
