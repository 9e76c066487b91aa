"""An exported graph that computes a few jets of like multiplicity at a time, however many it is given.

Belongs here: the loop around a network's graph. Does not belong here: the graph itself (`export.py`).

A network's graph is dense: it costs what the longest jet of the batch costs, times their number, and its intermediate
results are as large as the batch. So the jets are sorted by their number of particles, and a loop inside the graph
takes as many of them at a time as fit into a number of particle slots, cut to the longest among these. Little padding
is computed, what is between two layers stays in a core's cache, and memory is that of one such chunk. Batches that
are one chunk anyway, single jets above all, go through the graph without the loop. Weights are there once.

Jets don't depend on each other, so that only rounding can tell a chunk from another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jec_assets.serving.tensors import INPUTS, OUTPUTS, PARTICLE_COUNT, PARTICLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import onnx

# Of names inside the graph: no name of the exporter's holds a slash first.
PREFIX = "/chunk/"
TOTAL, LONGEST, TRIMMED = "total", "longest", "trimmed"
ZERO, ONE, SLOTS = "zero", "one", "slots"
EMPTY = "empty_"


def in_chunks(model: onnx.ModelProto, slots_at_once: int) -> onnx.ModelProto:
    """A model of the same inputs, outputs and weights that computes at most so many slots at a time, or one jet.

    model: takes and gives the tensors of `tensors.py`; jets x slots of any number.
    """
    from onnx import helper

    graph = model.graph
    outputs = [output.name for output in graph.output]
    at_once = helper.make_graph(_at_once(graph), "at_once", [], _values(graph.output))
    in_turn = helper.make_graph(_in_turn(graph), "in_turn", [], _values(graph.output, "back_"))
    nodes = [
        helper.make_node("Shape", [PARTICLE_COUNT], [_own(TOTAL)], start=0, end=1),
        helper.make_node("ReduceMax", [PARTICLE_COUNT], [_own("most")], keepdims=0),
        helper.make_node("Max", [_own("most"), _own(ONE)], [_own(LONGEST)]),
        *_as_many_as_fit(_own(LONGEST), "fitting"),
        helper.make_node("GreaterOrEqual", [_own("fitting"), _own(TOTAL)], [_own("all_fit")]),
        helper.make_node("If", [_own("all_fit")], outputs, then_branch=at_once, else_branch=in_turn),
    ]
    weights = [*graph.initializer, *_constants(graph, slots_at_once)]
    whole = helper.make_graph(nodes, graph.name, list(graph.input), list(graph.output), weights)
    return helper.make_model(
        whole, opset_imports=list(model.opset_import), functions=list(model.functions), ir_version=model.ir_version
    )


def _at_once(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The graph on all jets, cut to the longest of them."""
    from onnx import helper

    trim = helper.make_node("Slice", [PARTICLES, _own(ZERO), _own(LONGEST), _own(ONE)], [_own(TRIMMED)])
    return [trim, *_renamed(graph, {PARTICLES: _own(TRIMMED)})]


def _in_turn(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The loop, from the longest jets to the shortest, and its results in the order of the batch."""
    from onnx import helper

    outputs = [output.name for output in graph.output]
    found = [_own(f"found_{name}") for name in outputs]
    start = ["", "", _own(ZERO), *(_own(EMPTY + name) for name in outputs)]
    return [
        helper.make_node("Squeeze", [PARTICLE_COUNT, _own(ONE)], [_own("counts")]),
        helper.make_node("TopK", [_own("counts"), _own(TOTAL)], [_own("falling"), _own("order")], axis=0),
        helper.make_node("Loop", start, [_own("end"), *found], body=_chunk(graph)),
        helper.make_node("TopK", [_own("order"), _own(TOTAL)], [_own("up"), _own("places")], axis=0, largest=0),
        *(
            helper.make_node("Gather", [values, _own("places")], [_own(f"back_{name}")], axis=0)
            for values, name in zip(found, outputs, strict=True)
        ),
    ]


def _chunk(graph: onnx.GraphProto) -> onnx.GraphProto:
    """The loop's body: from where it stands to where it stands next, with the chunk's results behind the earlier."""
    from onnx import TensorProto, helper

    outputs = [output.name for output in graph.output]
    inputs = {name: _own(f"own_{name}") for name in INPUTS}
    nodes = [
        helper.make_node("Gather", [_own("falling"), _own("position")], [_own("here")], axis=0),
        helper.make_node("Max", [_own("here"), _own(ONE)], [_own("longest_here")]),
        *_as_many_as_fit(_own("longest_here"), "taken"),
        helper.make_node("Add", [_own("position"), _own("taken")], [_own("next")]),
        helper.make_node("Slice", [_own("order"), _own("position"), _own("next"), _own(ZERO)], [_own("chosen")]),
        *(helper.make_node("Gather", [name, _own("chosen")], [own], axis=0) for name, own in inputs.items()),
        helper.make_node(
            "Slice", [inputs[PARTICLES], _own(ZERO), _own("longest_here"), _own(ONE)], [_own("trimmed_here")]
        ),
        *_renamed(graph, {**inputs, PARTICLES: _own("trimmed_here")}),
        *(
            helper.make_node("Concat", [_own(f"before_{name}"), _own(name)], [_own(f"after_{name}")], axis=0)
            for name in outputs
        ),
        helper.make_node("Less", [_own("next"), _own(TOTAL)], [_own("are_left")]),
        helper.make_node("Squeeze", [_own("are_left")], [_own("more")]),
    ]
    count = helper.make_tensor_value_info(_own("iteration"), TensorProto.INT64, [])
    more = [helper.make_tensor_value_info(_own(name), TensorProto.BOOL, []) for name in ("go_on", "more")]
    places = [helper.make_tensor_value_info(_own(name), TensorProto.INT64, [1]) for name in ("position", "next")]
    return helper.make_graph(
        nodes,
        "chunk",
        [count, more[0], places[0], *_values(graph.output, "before_")],
        [more[1], places[1], *_values(graph.output, "after_")],
    )


def _as_many_as_fit(longest: str, result: str) -> list[onnx.NodeProto]:
    """How many jets of so many slots are computed together, at least one."""
    from onnx import helper

    return [
        helper.make_node("Div", [_own(SLOTS), longest], [_own(f"{result}_or_none")]),
        helper.make_node("Max", [_own(f"{result}_or_none"), _own(ONE)], [_own(result)]),
    ]


def _renamed(graph: onnx.GraphProto, inputs: Mapping[str, str]) -> list[onnx.NodeProto]:
    """The graph's nodes, with other inputs, and outputs under names of their own."""
    from onnx import NodeProto

    names = {**inputs, **{output.name: _own(output.name) for output in graph.output}}
    nodes = []
    for node in graph.node:
        copy = NodeProto()
        copy.CopyFrom(node)
        copy.input[:] = [names.get(name, name) for name in node.input]
        copy.output[:] = [names.get(name, name) for name in node.output]
        nodes.append(copy)
    return nodes


def _values(outputs: Iterable[onnx.ValueInfoProto], prefix: str = "") -> list[onnx.ValueInfoProto]:
    """Values like these outputs, for any number of jets."""
    from onnx import helper

    return [
        helper.make_tensor_value_info(
            _own(prefix + output.name), output.type.tensor_type.elem_type, [None, OUTPUTS[output.name]]
        )
        for output in outputs
    ]


def _constants(graph: onnx.GraphProto, slots_at_once: int) -> list[onnx.TensorProto]:
    from onnx import numpy_helper

    numbers = {ZERO: 0, ONE: 1, SLOTS: slots_at_once}
    nothing = {EMPTY + output.name: np.zeros((0, OUTPUTS[output.name]), np.float32) for output in graph.output}
    return [
        *(numpy_helper.from_array(np.array([number], np.int64), _own(name)) for name, number in numbers.items()),
        *(numpy_helper.from_array(array, _own(name)) for name, array in nothing.items()),
    ]


def _own(name: str) -> str:
    return PREFIX + name
