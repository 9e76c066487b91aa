"""Is ONNX Runtime installed the way it must be?

Belongs here: the check, made before ONNX Runtime is imported anywhere. Does not belong here: using it (`runtime.py`).

`onnxruntime` and `onnxruntime-gpu` are two distributions of one package: installed together they overwrite each other's
files, and CUDA is lost without a word.
"""

from __future__ import annotations

import importlib.metadata

DISTRIBUTIONS = ("onnxruntime", "onnxruntime-gpu")


class OnnxRuntimeInstallationError(ImportError):
    """ONNX Runtime is missing, or installed twice."""


def check_onnxruntime() -> str:
    """Name of the one distribution that is installed; OnnxRuntimeInstallationError with the remedy otherwise."""
    installed = [name for name in DISTRIBUTIONS if _is_installed(name)]
    if not installed:
        raise OnnxRuntimeInstallationError(
            "ONNX Runtime is not installed: pip install 'jec-assets[cpu]' (or 'jec-assets[gpu]' where there is CUDA)"
        )
    if len(installed) > 1:
        raise OnnxRuntimeInstallationError(
            f"{' and '.join(installed)} are both installed and overwrite each other's files: "
            f"pip uninstall -y {' '.join(installed)} && pip install 'jec-assets[cpu]' (or 'jec-assets[gpu]')"
        )
    return installed[0]


def _is_installed(distribution: str) -> bool:
    try:
        importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
