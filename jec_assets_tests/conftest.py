"""What all tests share: toy jets, storage in a temporary folder, and skipping where a real part is absent."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from jec_assets.storage import Storage
from jec_assets_tests.namespaces import namespaces_work
from jec_assets_tests.s3 import s3_server
from jec_assets_tests.toy_jets import toy_jets, write_jet_file

# A deadline per example would be a timed test, and fail on a busy machine.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


POSTGRES = Path("/usr/lib/postgresql")


def _has_cluster() -> bool:
    return "JEC_TEST_CLUSTER" in os.environ or "KUBECONFIG" in os.environ


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _lets_make_namespaces() -> bool:
    """Whether this process has the right to, whatever it lacks to join them."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode == 0


# What a marked test talks to: how to see that it is there, and how to get it.
PARTS: dict[str, tuple[Callable[[], bool], str]] = {
    "triton": (lambda: importlib.util.find_spec("pytriton") is not None, "make install"),
    "pythia": (lambda: importlib.util.find_spec("pythia8mc") is not None, "pip install -e '.[simulation]'"),
    "s3": (lambda: shutil.which("weed") is not None, "pip install -e '.[dev]'"),
    "nginx": (lambda: shutil.which("nginx") is not None, "apt-get install nginx-light openssl"),
    "chromium": (lambda: shutil.which("chromium") is not None, "apt-get install chromium"),
    "xrootd": (
        lambda: shutil.which("xrootd") is not None and importlib.util.find_spec("fsspec_xrootd") is not None,
        "apt-get install xrootd-server; pip install -e '.[xrootd]'",
    ),
    "netns": (namespaces_work, "root, iproute2, and a kernel that allows network namespaces and veth"),
    "postgres": (lambda: any(POSTGRES.glob("*/bin/initdb")), "apt-get install postgresql"),
    "perf_analyzer": (lambda: shutil.which("perf_analyzer") is not None, "make perf-analyzer"),
    "cluster": (_has_cluster, "set JEC_TEST_CLUSTER to a script that starts one, or KUBECONFIG"),
    "cuda": (_has_gpu, "run these tests on a machine with an NVIDIA GPU, with torch's CUDA build"),
}

# What a machine has or has not, and no installation brings: required only where it is seen that the machine has it.
LENT: dict[str, Callable[[], bool]] = {"cuda": _has_gpu, "netns": _lets_make_namespaces}


def _must_be_here(part: str) -> bool:
    return os.environ.get("JEC_REQUIRE_ALL_PARTS") == "1" and (part not in LENT or LENT[part]())


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of all tests; here, because pytest reads them before it looks into folders."""
    parser.addoption("--update-pictures", action="store_true", help="store the pictures of figures that differ anew")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose real part is absent, saying how to get it; JEC_REQUIRE_ALL_PARTS=1 makes that a failure."""
    for marker in item.iter_markers("needs"):
        present, remedy = PARTS[marker.args[0]]
        if not present():
            message = f"{marker.args[0]} is not here: {remedy}"
            if _must_be_here(marker.args[0]):
                pytest.fail(message)
            pytest.skip(message)


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    """An empty storage root."""
    return Storage(str(tmp_path / "storage"))


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a SeaweedFS server with one set of credentials; every test takes a bucket or prefix of its own."""
    with s3_server(tmp_path_factory.mktemp("s3")) as url:
        yield url


@pytest.fixture(scope="session")
def toy_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two toy files, 1,600 jets together; read only."""
    folder = tmp_path_factory.mktemp("source")
    for number in range(2):
        write_jet_file(folder / f"toy_{number}.root", toy_jets(400, seed=number))
    return folder
