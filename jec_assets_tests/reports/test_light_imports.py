from __future__ import annotations

import subprocess
import sys

HEAVY = ("matplotlib", "mplhep", "hist", "sklearn", "torch", "jinja2", "dagster", "optuna", "onnx", "uproot")
PROGRAM = """
import importlib, pkgutil, sys
for package in ("evaluation", "plots", "reports"):
    package = importlib.import_module(f"jec_assets.{package}")
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
print(*(name for name in sys.argv[1:] if name in sys.modules))
"""


def test_nothing_slow_is_imported_until_it_is_used():
    loaded = subprocess.run([sys.executable, "-c", PROGRAM, *HEAVY], capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []
