"""matplotlib's SVG made fit to stand inside an HTML page.

Belongs here: what must change so that many figures share one document. Does not belong here: drawing.
"""

from __future__ import annotations

import re
from html import escape

from jec_assets.reports.report import ReportError

# What a page doesn't need: XML's prologue, comments, metadata, and a style sheet that would apply to the whole page.
_SUPERFLUOUS = re.compile(r"<!--.*?-->|<metadata>.*?</metadata>|<defs>\s*<style.*?</style>\s*</defs>", re.DOTALL)
_ROOT = re.compile(r"<svg\b[^>]*>")
_VIEW_BOX = re.compile(r'viewBox="[^"]*"')
_DEFINED = re.compile(r'\bid="([^"]+)"')
_REFERRED = re.compile(r'\b(?:xlink:)?href="#([^"]+)"')
_BETWEEN_ELEMENTS = re.compile(r">\s+<")
_USED_IN_STYLE = re.compile(r"url\(#([^)]+)\)")
_STYLE = re.compile(r'\bstyle="([^"]*)"')


def inline_svg(svg: bytes, prefix: str, label: str) -> str:
    """An `<svg>` element of a figure that matplotlib wrote, with `prefix` before every id and `label` as alt text.

    Ids stay unique in the page if prefixes are. Width and height are left to the page's style sheet. Styles become
    attributes: the page's security policy lets no element bring a style of its own.
    """
    text = svg.decode()
    root, view_box = _ROOT.search(text), _VIEW_BOX.search(text)
    if root is None or view_box is None:
        raise ReportError(f"the figure for {prefix!r} isn't an SVG with a viewBox: materialize its report again")
    body = _SUPERFLUOUS.sub("", text[root.end() :])
    body = _STYLE.sub(_attributes, body)
    body = _DEFINED.sub(rf'id="{prefix}\1"', body)
    body = _REFERRED.sub(rf'href="#{prefix}\1"', body)
    body = _USED_IN_STYLE.sub(rf"url(#{prefix}\1)", body)
    body = _BETWEEN_ELEMENTS.sub("><", body.replace("xlink:href=", "href=")).strip()
    return f'<svg {view_box[0]} role="img" aria-label="{escape(label)}">{body}'


def _attributes(style: re.Match[str]) -> str:
    """`fill: none; stroke: #000` as `fill="none" stroke="#000"`; the last of several values counts, as in CSS."""
    declared = (each.split(":", 1) for each in style[1].split(";") if each.strip())
    return " ".join(f'{name}="{value}"' for name, value in {n.strip(): v.strip() for n, v in declared}.items())
