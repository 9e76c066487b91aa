"""Every figure looks like its stored picture, and every figure has one."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import pytest

import jec_assets.plots
from jec_assets_tests.plots.gallery import FIGURES
from jec_assets_tests.plots.pictures import BASELINES, CheckPicture

BLANK = "style.new_figure"


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_looks_like_its_picture(name: str, check_picture: CheckPicture):
    check_picture(FIGURES[name](), name)


def test_every_figure_has_a_picture():
    found = set()
    for module in pkgutil.iter_modules(jec_assets.plots.__path__):
        source = importlib.import_module(f"jec_assets.plots.{module.name}")
        for name, function in inspect.getmembers(source, inspect.isfunction):
            own = function.__module__ == source.__name__ and not name.startswith("_")
            if own and function.__annotations__.get("return") == "Figure":
                found.add(f"{module.name}.{name}")
    missing = found - {".".join(name.split(".")[:2]) for name in FIGURES} - {BLANK}
    assert not missing, "add their lines to jec_assets_tests/plots/gallery.py"


def test_no_picture_is_left_of_a_figure_that_is_gone():
    assert {path.stem for path in BASELINES.glob("*.png")} == set(FIGURES)
