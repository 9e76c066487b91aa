"""Comparing figures with stored pictures, so that none changes unnoticed.

Belongs here: drawing a figure small and the same on every machine, and the comparison. Does not belong here: what a
figure shows in numbers, which its own tests read from it.

A picture of a figure lies in `baselines/<name>.png`. Where a figure was changed on purpose, look at it and store its
picture anew: `pytest jec_assets_tests/plots --update-pictures`.

Letters are drawn without hinting: how a FreeType hints depends on its version, and with the width of a text all that
stands around it moves. What is left are other shades of gray at the edges of letters, below `TOLERANCE`. Another
matplotlib may lay figures out by a pixel otherwise: with the pinned version, store the pictures anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import matplotlib as mpl
import mplhep
import pytest
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont
from matplotlib.testing.compare import compare_images
from matplotlib.testing.exceptions import ImageComparisonFailure
from matplotlib.text import Text

from jec_assets.plots.style import cms_style

BASELINES = Path(__file__).parent / "baselines"
UPDATE_OPTION = "--update-pictures"
DOTS_PER_INCH = 50
# Root mean square of the differences of all pixels, of 255. A missing line or a point that moved by a 30th of the axis
# give more than 2 in the largest figures.
TOLERANCE = 1.0

CheckPicture: TypeAlias = Callable[[Figure, str], None]


@dataclass(frozen=True)
class Pictures:
    """Stored pictures, and where those go that differ from them. update: store those instead of failing."""

    baselines: Path
    drawn: Path
    update: bool

    def check(self, figure: Figure, name: str) -> None:
        """Fail where the figure does not look like its stored picture; the message names the file that shows how."""
        drawn, baseline = self.drawn / f"{name}.png", self.baselines / f"{name}.png"
        draw(figure, drawn)
        fault = _difference(drawn, baseline)
        if fault and self.update:
            baseline.parent.mkdir(exist_ok=True)
            baseline.write_bytes(drawn.read_bytes())
        elif fault:
            pytest.fail(f"{fault}\nIf {drawn} is as it should be: pytest jec_assets_tests/plots {UPDATE_OPTION}")


def draw(figure: Figure, path: Path) -> None:
    """Write the figure as a small PNG. Every font must come with a package, because machines have others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with cms_style(), mpl.rc_context({"text.hinting": "no_hinting"}):
        figure.savefig(path, dpi=DOTS_PER_INCH, facecolor="white", metadata={"Software": None})
        fonts = {Path(findfont(text.get_fontproperties())) for text in figure.findobj(Text) if text.get_text()}
    foreign = [str(font) for font in fonts if not any(font.is_relative_to(folder) for folder in _font_folders())]
    assert not foreign, f"{path.name} is drawn with a font of this machine: {', '.join(foreign)}"


def _font_folders() -> tuple[Path, ...]:
    import mplhep_data

    return tuple(Path(str(package.__file__)).parent for package in (mpl, mplhep, mplhep_data))


def _difference(drawn: Path, baseline: Path) -> str:
    """How the pictures differ, in words; empty where they look alike."""
    if not baseline.exists():
        return f"{baseline.name} has no stored picture."
    try:
        return compare_images(str(baseline), str(drawn), TOLERANCE) or ""
    except ImageComparisonFailure as other_size:
        return str(other_size)
