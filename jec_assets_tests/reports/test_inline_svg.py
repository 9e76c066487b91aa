from __future__ import annotations

import pytest

from jec_assets.reports.inline_svg import inline_svg
from jec_assets.reports.report import ReportError

SVG = b"""<?xml version="1.0" encoding="utf-8" standalone="no"?>
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">
<svg xmlns:xlink="http://www.w3.org/1999/xlink" width="460.8pt" height="345.6pt" viewBox="0 0 460.8 345.6">
 <metadata><cc:Work rdf:about="http://purl.org/dc"/></metadata>
 <defs>
  <style type="text/css">*{stroke-linejoin: round; stroke-linecap: butt}</style>
 </defs>
 <g id="figure_1"><!-- 0.05 -->
  <defs><path id="m1"/><clipPath id="p1"><rect/></clipPath></defs>
  <path style="fill: none; stroke: #5790fc; stroke-width: 1.2; fill: red"/>
  <g clip-path="url(#p1)"><use xlink:href="#m1" x="1"/><image xlink:href="data:image/png;base64,AA=="/></g>
 </g>
</svg>
"""


def test_what_a_page_needs_remains_and_ids_get_the_prefix():
    assert inline_svg(SVG, "loss-bars-", "Loss < 1") == (
        '<svg viewBox="0 0 460.8 345.6" role="img" aria-label="Loss &lt; 1"><g id="loss-bars-figure_1">'
        '<defs><path id="loss-bars-m1"/><clipPath id="loss-bars-p1"><rect/></clipPath></defs>'
        '<path fill="red" stroke="#5790fc" stroke-width="1.2"/>'
        '<g clip-path="url(#loss-bars-p1)"><use href="#loss-bars-m1" x="1"/>'
        '<image href="data:image/png;base64,AA=="/></g></g></svg>'
    )


def test_anything_else_is_refused():
    with pytest.raises(ReportError, match="'x-' isn't an SVG"):
        inline_svg(b"<html></html>", "x-", "X")
