"""How far ONNX Runtime may change a graph before it computes with it, by name.

Belongs here: the levels and their numbers in ONNX Runtime and in Triton. Does not belong here: sessions (`runtime.py`),
and what is done to every graph at export (`graph_chunks.py`).

At every level a graph computes the same up to rounding. What changes is how fast it loads, and how fast it computes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    import onnxruntime

# disabled: as it is; basic: nothing but standard operations; extended: with operations of ONNX Runtime's own, such as a
# product with its activation; all: with memory laid out for this processor besides.
GraphLevel = Literal["disabled", "basic", "extended", "all"]
LEVELS: tuple[GraphLevel, ...] = get_args(GraphLevel)
DEFAULT_LEVEL: GraphLevel = "all"
# What `optimization.graph.level` in config.pbtxt means to Triton's own ONNX Runtime backend; without it: all.
TRITON_LEVELS: dict[GraphLevel, int] = {"basic": -1, "extended": 1, "disabled": 2}


class UnknownGraphLevelError(ValueError):
    """A level that neither ONNX Runtime nor Triton has."""


def level_in_triton(number: int | None) -> GraphLevel:
    """The level that a configuration of Triton's names by this number, or does not name; UnknownGraphLevelError."""
    if number is None:
        return DEFAULT_LEVEL
    for level, triton_number in TRITON_LEVELS.items():
        if triton_number == number:
            return level
    raise UnknownGraphLevelError(f"Triton has no graph level {number}: it knows {sorted(TRITON_LEVELS.values())}")


def runtime_level(level: GraphLevel) -> onnxruntime.GraphOptimizationLevel:
    """The level as ONNX Runtime has it."""
    from onnxruntime import GraphOptimizationLevel

    levels: dict[GraphLevel, onnxruntime.GraphOptimizationLevel] = {
        "disabled": GraphOptimizationLevel.ORT_DISABLE_ALL,
        "basic": GraphOptimizationLevel.ORT_ENABLE_BASIC,
        "extended": GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
        "all": GraphOptimizationLevel.ORT_ENABLE_ALL,
    }
    return levels[level]
