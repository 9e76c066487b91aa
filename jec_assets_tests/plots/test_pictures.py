"""The comparison of pictures itself: what a person would call another figure fails, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from jec_assets.plots.style import COLORS, cms_style, label, legend_below, new_figure
from jec_assets_tests.plots.pictures import BASELINES, Pictures, draw

Change = Callable[[Figure], object]

CHANGES: dict[str, Change] = {
    "a line is missing": lambda figure: figure.axes[0].lines[1].remove(),
    "a point moved by a 30th of the axis": lambda figure: figure.axes[0].lines[0].set_ydata([1, 2, 3.1, 4]),
    "another color": lambda figure: figure.axes[0].lines[0].set_color(COLORS[2]),
    "the legend moved": lambda figure: figure.legends[0].set_loc("outside upper center"),
    "another word": lambda figure: figure.legends[0].get_texts()[0].set_text("Measurad"),
    "another label": lambda figure: figure.axes[0].set_xlabel("Momentum [TeV]"),
    "another axis": lambda figure: figure.axes[0].set_ylim(0.9, 4.3),
    "another size": lambda figure: figure.set_figheight(5.2),
}


def example() -> Figure:
    with cms_style():
        figure = new_figure()
        axes = figure.subplots()
        axes.plot([1, 2, 3, 4], [1, 2, 3, 4], "o", color=COLORS[0], label="Measured")
        axes.plot([1, 4], [1, 4], color=COLORS[1], linewidth=1, label="Expected")
        axes.set_ylim(0.8, 4.2)
        axes.set_xlabel("Momentum [GeV]")
        label(axes)
        legend_below(figure, axes, columns=2)
    return figure


@pytest.fixture
def pictures(tmp_path: Path) -> Pictures:
    """Stored pictures of which `example` is one."""
    storing = Pictures(tmp_path / "baselines", tmp_path / "drawn", update=True)
    storing.check(example(), "example")
    return Pictures(storing.baselines, storing.drawn, update=False)


def test_the_same_figure_passes(pictures: Pictures):
    pictures.check(example(), "example")


def test_other_shades_at_the_edges_of_letters_pass(pictures: Pictures):
    stored = pictures.baselines / "example.png"
    pixels = np.asarray(Image.open(stored).convert("RGB")).astype(int)
    gray = (pixels.min(axis=-1, keepdims=True) > 0) & (pixels.max(axis=-1, keepdims=True) < 255)
    Image.fromarray(np.where(gray, np.clip(pixels + 4, 0, 255), pixels).astype(np.uint8)).save(stored)
    pictures.check(example(), "example")


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_another_figure_fails(pictures: Pictures, change: Change):
    figure = example()
    change(figure)
    with pytest.raises(
        pytest.fail.Exception, match=r"drawn/example\.png is as it should be: pytest .*--update-pictures"
    ):
        pictures.check(figure, "example")


def test_the_message_names_a_file_that_shows_the_difference(pictures: Pictures):
    figure = example()
    figure.axes[0].lines[1].remove()
    with pytest.raises(pytest.fail.Exception, match=r"example-failed-diff\.png"):
        pictures.check(figure, "example")
    assert (pictures.drawn / "example-failed-diff.png").exists()


def test_a_figure_without_picture_fails_until_it_is_stored(pictures: Pictures):
    with pytest.raises(pytest.fail.Exception, match=r"other\.png has no stored picture"):
        pictures.check(example(), "other")
    Pictures(pictures.baselines, pictures.drawn, update=True).check(example(), "other")
    pictures.check(example(), "other")


def test_updating_leaves_pictures_that_look_alike(pictures: Pictures):
    stored = pictures.baselines / "example.png"
    Image.open(stored).save(stored, compress_level=0)
    before = stored.read_bytes()
    Pictures(pictures.baselines, pictures.drawn, update=True).check(example(), "example")
    assert stored.read_bytes() == before


def test_a_font_of_the_machine_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    font = "/usr/share/fonts/truetype/machine.ttf"
    monkeypatch.setattr("jec_assets_tests.plots.pictures.findfont", lambda _: font)
    with pytest.raises(AssertionError, match=r"machine\.ttf"):
        draw(example(), tmp_path / "example.png")


def test_stored_pictures_are_small():
    for path in BASELINES.glob("*.png"):
        assert path.stat().st_size < 64_000, path.name
