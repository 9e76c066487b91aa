"""Reading figures: what a person would see in them."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from jec_assets.plots.rendering import png_bytes
from jec_assets.plots.style import cms_style


def texts(figure: Figure) -> set[str]:
    """Everything that is written in the figure."""
    return {text.get_text() for text in figure.findobj(Text) if text.get_visible() and text.get_text()}


def legend(figure: Figure) -> list[str]:
    """The entries of the figure's legend."""
    (found,) = figure.legends
    return [text.get_text() for text in found.get_texts()]


def points(axes: Axes) -> dict[str, list[tuple[float, float]]]:
    """Coordinates of what was drawn with error bars, by label."""
    return {
        str(drawn.get_label()): [(float(x), float(y)) for x, y in drawn.lines[0].get_xydata()]
        for drawn in axes.containers
    }


def check_layout(figure: Figure) -> None:
    """Render the figure; nothing written may reach out of it, and the legend may not lie on the axes."""
    png_bytes(figure)
    with cms_style():
        renderer = FigureCanvasAgg(figure).get_renderer()
        boxes = [axes.get_tightbbox(renderer) for axes in figure.axes]
        legends = [found.get_window_extent(renderer) for found in figure.legends]
    frame = figure.bbox.padded(1)
    for box in (*boxes, *legends):
        assert box is not None
        assert frame.x0 <= box.x0 <= box.x1 <= frame.x1
        assert frame.y0 <= box.y0 <= box.y1 <= frame.y1
    assert all(below.y1 <= box.y0 + 1 for below in legends for box in boxes)
