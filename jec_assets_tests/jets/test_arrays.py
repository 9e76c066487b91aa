"""Arrays in files: what is appended is what is mapped, before and after it is let go."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jec_assets.jets.arrays import ArrayLengthError, array_file, mapped, release, will_need


def test_pieces_make_the_array(tmp_path: Path) -> None:
    values = np.arange(60, dtype=np.float32).reshape(20, 3)
    with array_file(tmp_path / "a.npy", values.dtype, values.shape) as append:
        for start in range(0, 20, 7):
            append(values[start : start + 7])
        append(values[:0])
    array = mapped(tmp_path / "a.npy")
    assert type(array) is np.ndarray
    assert not array.flags.writeable
    assert np.array_equal(array, values)


def test_an_array_of_another_length_than_announced_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(ArrayLengthError, match=r"a\.npy got 8 bytes, and 12 were announced"),
        array_file(tmp_path / "a.npy", np.dtype(np.int32), (3,)) as append,
    ):
        append(np.arange(2))


def test_advice_changes_no_value(tmp_path: Path) -> None:
    values = np.arange(100_000, dtype=np.int64)
    np.save(tmp_path / "a.npy", values)
    for array in (mapped(tmp_path / "a.npy"), mapped(tmp_path / "a.npy")[7:], values):
        before = array.copy()
        will_need(array, np.array([0, 90_000]), np.array([10, len(array)]))
        assert np.array_equal(array, before)
        release(array)
        assert np.array_equal(array, before)
