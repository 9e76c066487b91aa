from __future__ import annotations

import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from jec_assets.serving.config import InstanceSettings, ModelConfigError, ModelWidths, config_pbtxt, served_version


def test_the_configuration_says_what_production_triton_needs() -> None:
    text = config_pbtxt("pfn", 3, ModelWidths(14, 9), InstanceSettings(threads=2, instances=4), '{"version": 3}')
    config = text_format.Parse(text, ModelConfig())
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
    assert served_version(text) == 3


def test_quantiles_are_declared() -> None:
    config = text_format.Parse(config_pbtxt("pfn", 3, ModelWidths(14, 9, 3), InstanceSettings(), ""), ModelConfig())
    assert [(tensor.name, list(tensor.dims)) for tensor in config.output] == [
        ("log_factor", [1]),
        ("log_factor_quantiles", [2]),
    ]
    with pytest.raises(ValueError, match=r"1 or 3 outputs, .* not 2"):
        config_pbtxt("pfn", 3, ModelWidths(14, 9, 2), InstanceSettings(), "")


@pytest.mark.parametrize(
    "text", [b"not a configuration", b'name: "pfn"', b"version_policy { latest { num_versions: 1 } }"]
)
def test_a_configuration_without_one_version_is_refused(text: bytes) -> None:
    with pytest.raises(ModelConfigError):
        served_version(text)
