"""Figures as bytes: SVG for pages, PNG for Dagster's UI.

Belongs here: writing a figure so that the same figure gives the same bytes. Does not belong here: drawing.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from jec_assets.plots.style import INK, cms_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PNG_DOTS_PER_INCH = 110


def svg_bytes(figure: Figure) -> bytes:
    """The figure as SVG: letters as outlines, so it looks alike everywhere; no date; ids that depend on content alone.

    What is drawn in INK takes the color of the text around it where the SVG stands inside a page, so that it can be
    read on light and on dark ground; elsewhere it is black.
    """
    import matplotlib as mpl

    stream = io.BytesIO()
    with cms_style(), mpl.rc_context({"svg.hashsalt": "jec_assets", "svg.fonttype": "path"}):
        _settle(figure)
        figure.savefig(stream, format="svg", metadata={"Date": None}, transparent=True)
    return stream.getvalue().replace(INK.encode(), b"currentColor")


def png_bytes(figure: Figure) -> bytes:
    """The figure as PNG on white."""
    stream = io.BytesIO()
    with cms_style():
        _settle(figure)
        figure.savefig(stream, format="png", dpi=PNG_DOTS_PER_INCH, facecolor="white", metadata={"Software": None})
    return stream.getvalue()


def _settle(figure: Figure) -> None:
    """Lay the figure out once and for all: matplotlib would move things by a little each time it writes it.

    Without a layout engine it also draws a figure once, not twice, to write it.
    """
    if figure.get_layout_engine() is not None:
        figure.draw_without_rendering()
        figure.set_layout_engine(None)
