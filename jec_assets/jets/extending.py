"""Copying a ROOT file of jets with more branches in its tree.

Belongs here: every row and branch of the tree, streaming, in an output that appears whole or not at all. Does not
belong here: what the added branches mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from jec_assets.jets.reading import JetFileError, naming, open_tree
from jec_assets.jets.schema import TREE
from jec_assets.storage import appearing_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from jec_assets.jets.sources import JetFile

# Rows of a chunk: with all branches and the 180 candidates of the square, about 100 MB.
CHUNK_ROWS = 10_000


class OutputExistsError(FileExistsError):
    """There is a file where the output should be."""


@dataclass(frozen=True)
class Extension:
    """What is added to a tree.

    types: of the new branches, one number a row, by name
    values: from a chunk's arrays, by branch (awkward), and its rows, the new branches' values (rows,)
    notes: texts beside the tree, by name
    """

    types: Mapping[str, str]
    values: Callable[[dict[str, Any], int], Mapping[str, NDArray[Any]]]
    notes: Mapping[str, str]


@dataclass(frozen=True)
class ExtendedFile:
    """What was written. left_out: objects of the input, neither the tree nor texts, that are not in the output."""

    rows: int
    left_out: tuple[str, ...]


def extend_tree(
    file: JetFile, out: Path, extension: Extension, report: Callable[[int, int], None], overwrite: bool = False
) -> ExtendedFile:
    """Copy the file's tree with more branches; `report` gets the rows done and the rows there are, chunk by chunk.

    Memory holds one chunk. Texts beside the tree are copied too. Raises JetFileError for a file that cannot be read or
    has a branch that cannot be copied or is to be added, and OutputExistsError unless `overwrite`; whatever is raised,
    `out` is left as it was.
    """
    if out.exists() and not overwrite:
        raise OutputExistsError(f"{out} is there already: choose another name or remove it")
    with open_tree(file) as tree, appearing_file(out) as target:
        if out.exists() and not file.is_remote and out.samefile(file.url):
            raise OutputExistsError(f"{out} is the file that is to be copied: choose another name")
        types, counters = _types(file, tree)
        if known := sorted(set(types) & set(extension.types)):
            _refuse(file, f"the tree has {', '.join(known)} already", "take the file as it was before")
        left_out = _write(_Copy(file, tree, types, counters), target, extension, report)
    return ExtendedFile(tree.num_entries, left_out)


@dataclass(frozen=True)
class _Copy:
    """An open tree, the types of its branches, and which branch counts the entries of each that is not a scalar."""

    file: JetFile
    tree: Any
    types: dict[str, Any]
    counters: dict[str, str]

    def chunks(self) -> Iterator[tuple[dict[str, Any], int, int]]:
        """Arrays by branch, and the first row and the one behind the last."""
        for start in range(0, self.tree.num_entries, CHUNK_ROWS):
            stop = min(start + CHUNK_ROWS, self.tree.num_entries)
            with naming(self.file):
                arrays = self.tree.arrays(
                    list(self.types), entry_start=start, entry_stop=stop, library="ak", how=dict, array_cache=None
                )
            yield arrays, start, stop


def _write(copy: _Copy, target: Path, extension: Extension, report: Callable[[int, int], None]) -> tuple[str, ...]:
    import uproot

    source = copy.tree.file
    texts, left_out = _other_objects(copy.file, source)
    with uproot.recreate(target, compression=source.compression) as output:
        types = {**copy.types, **extension.types}
        report(0, copy.tree.num_entries)
        tree = output.mktree(TREE, types, title=copy.tree.title, counter_name=lambda name: copy.counters[name])
        for arrays, start, stop in copy.chunks():
            tree.extend({**arrays, **extension.values(arrays, stop - start)})
            report(stop, copy.tree.num_entries)
        for name, text in {**texts, **extension.notes}.items():
            output[name] = text
    return left_out


def _types(file: JetFile, tree: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """Types of the branches as awkward has them, those that count others left out, and the counters by name."""
    counters = {branch.name: branch.count_branch.name for branch in tree.branches if branch.count_branch is not None}
    names = [branch.name for branch in tree.branches if branch.name not in set(counters.values())]
    with naming(file):
        empty = tree.arrays(names, entry_stop=0, library="ak", how=dict)
    types = {name: _declared(array.type.content, name in counters) for name, array in empty.items()}
    for name, kind in types.items():
        if kind is None:
            problem = f"branch {name} is of type {empty[name].type.content}"
            _refuse(file, problem, "leave it out: numbers, fixed and counted arrays of numbers can be copied")
    return types, counters


def _declared(kind: Any, counted: bool) -> Any:
    """A branch's type as uproot wants it declared; None for one that cannot be written."""
    from awkward.types import ListType, NumpyType, RegularType

    if isinstance(kind, RegularType) and isinstance(kind.content, NumpyType):
        return np.dtype((kind.content.primitive, (kind.size,)))
    is_list = counted and isinstance(kind, ListType) and isinstance(kind.content, NumpyType)
    return kind if is_list or isinstance(kind, NumpyType) else None


def _other_objects(file: JetFile, source: Any) -> tuple[dict[str, str], tuple[str, ...]]:
    """Texts by name, and the names of what is neither a text nor a folder nor the tree."""
    with naming(file):
        classes = source.root_directory.classnames(cycle=False)
        texts = {name: str(source.root_directory[name]) for name, kind in classes.items() if kind == "TObjString"}
    known = {TREE, *texts, *(name for name, kind in classes.items() if kind == "TDirectory")}
    return texts, tuple(sorted(set(classes) - known))


def _refuse(file: JetFile, problem: str, remedy: str) -> NoReturn:
    raise JetFileError(file.url, problem, remedy)
