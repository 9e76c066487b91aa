from __future__ import annotations

from xml.parsers import expat

import matplotlib.pyplot as plt
import pytest

from jec_assets.evaluation.jets.dataset import gen_kinematics_histogram
from jec_assets.plots.dataset import gen_kinematics
from jec_assets.plots.rendering import png_bytes, svg_bytes
from jec_assets.plots.style import INK
from jec_assets_tests.evaluation.synthetic import calibrated_table


@pytest.fixture(scope="module")
def svg() -> bytes:
    return svg_bytes(gen_kinematics(gen_kinematics_histogram(calibrated_table(300))))


def test_the_same_figure_gives_the_same_bytes(svg: bytes):
    figure = gen_kinematics(gen_kinematics_histogram(calibrated_table(300)))
    png = png_bytes(figure)
    assert svg_bytes(figure) == svg
    assert png_bytes(figure) == png
    assert png.startswith(b"\x89PNG")


def test_svg_has_no_date_takes_the_color_of_the_text_around_it_and_keeps_its_letters(svg: bytes):
    assert expat.ParserCreate().Parse(svg, True) == 1  # well-formed
    assert b"<dc:date>" not in svg
    assert INK.encode() not in svg
    assert b"currentColor" in svg
    assert b"<text" not in svg  # outlines: no font needed


def test_no_figure_stays_open_in_pyplot(svg: bytes):
    assert plt.get_fignums() == []
