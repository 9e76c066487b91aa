"""Triton's files on this machine: where the wheel put them, and the folder of backends made from them.

Belongs here: finding, checking and copying. Does not belong here: running Triton (`triton.py`).

The wheel nvidia-pytriton carries the real Triton with its Python backend. Only its files are used: it is never
imported.
"""

from __future__ import annotations

import ctypes.util
import importlib.metadata
import os
import platform
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from jec_assets import serving
from jec_assets.serving.config import BACKEND
from jec_assets.serving.guard import check_onnxruntime
from jec_assets.storage import code_digest, digest_of, package_versions, write_atomically

DISTRIBUTION = "nvidia-pytriton"
VERSION = "0.7.0"
# It asks for numpy<2, which nothing here needs: without its dependencies, and in a step of its own.
INSTALL_COMMAND = f"pip install --no-deps {DISTRIBUTION}=={VERSION}"
LARGE_BUFFER = 1 << 20  # bytes
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
PYTHON_LIBRARY = f"python{PYTHON}"


class TritonMissingError(RuntimeError):
    """Triton, or something of the system that it needs, is not on this machine; the message says how to get it."""


@dataclass(frozen=True)
class TritonInstallation:
    """Files of an installed Triton: the server, its Python backend's three files, folders of shared libraries."""

    server: Path
    python_backend: tuple[Path, ...]
    libraries: tuple[Path, ...]

    @property
    def environment(self) -> dict[str, str]:
        """Environment of the server: this process's, with this Python first.

        Models' processes take their packages, this one among them, from the first Python on PATH, and heed no variable
        of Python's own.
        """
        return {
            **os.environ,
            "PATH": _joined(str(Path(sys.executable).parent), os.environ.get("PATH")),
            "LD_LIBRARY_PATH": _joined(*map(str, self.libraries), os.environ.get("LD_LIBRARY_PATH")),
            # Buffers of large requests go back to the system. Left to itself the C library soon keeps them between
            # small ones, in pieces that it can't use again: 250 MB more for every 2,000 requests of a few MB.
            "MALLOC_MMAP_THRESHOLD_": str(LARGE_BUFFER),
        }


def find_triton() -> TritonInstallation:
    """The installed Triton; TritonMissingError, with the command that installs what is missing."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise TritonMissingError(
            f"there is no Triton for {sys.platform} on {platform.machine()}: set JEC_ENDPOINT=url and JEC_ENDPOINT_URL "
            "to a server elsewhere"
        )
    try:
        distribution = importlib.metadata.distribution(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        raise TritonMissingError(f"Triton is not installed: {INSTALL_COMMAND}") from None
    if distribution.version != VERSION:
        raise TritonMissingError(f"{DISTRIBUTION} {distribution.version} is installed: {INSTALL_COMMAND}")
    triton = Path(str(distribution.locate_file("pytriton/tritonserver")))
    installation = TritonInstallation(
        triton / "bin/tritonserver",
        (
            triton / "backends/python/libtriton_python.so",
            triton / "backends/python/triton_python_backend_utils.py",
            triton / f"python_backend_stubs/{PYTHON}/triton_python_backend_stub",
        ),
        (Path(str(distribution.locate_file("nvidia_pytriton.libs"))), *_python_library_folders()),
    )
    missing = [str(file) for file in (installation.server, *installation.python_backend) if not file.exists()]
    if missing:
        raise TritonMissingError(f"{', '.join(missing)} not found: {INSTALL_COMMAND} --force-reinstall")
    return installation


def assemble_backends(installation: TritonInstallation, folder: Path) -> None:
    """Copy the Python backend and this project's backends into a folder for Triton; no server may be using it."""
    # Triton finds the libraries beside its Python backend only if that is a file of its own, not a link.
    for file in installation.python_backend:
        copy = folder / "python" / file.name
        write_atomically(copy, file.read_bytes())
        copy.chmod(0o755)
    source = Path(__file__).with_name("triton_backends") / BACKEND / "model.py"
    write_atomically(folder / BACKEND / source.name, source.read_bytes())


def fingerprint() -> str:
    """Digest of what a server is started from: where it has changed, a running server is an old one."""
    versions = package_versions(DISTRIBUTION, "numpy", check_onnxruntime())
    return digest_of([code_digest(serving), sys.executable, versions])


def _python_library_folders() -> tuple[Path, ...]:
    """Folder of Python's shared library; none where the system's loader knows it; TritonMissingError without it."""
    name = f"lib{PYTHON_LIBRARY}.so.1.0"
    for folder in (Path(sysconfig.get_config_var("LIBDIR") or "/usr/lib"), Path(sys.prefix) / "lib"):
        if (folder / name).exists():
            return (folder,)
    if ctypes.util.find_library(PYTHON_LIBRARY):
        return ()
    raise TritonMissingError(
        f"Triton needs {name}, which is not here: sudo apt-get install lib{PYTHON_LIBRARY}, or put the file into "
        f"{sys.prefix}/lib"
    )


def _joined(*paths: str | None) -> str:
    return os.pathsep.join(path for path in paths if path)
