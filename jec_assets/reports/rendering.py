"""The calibration page as HTML.

Belongs here: everything between a page's content and its bytes: templates, the policy that lets no other host in.
Does not belong here: what the page says. Its style and its script stand inside it, and it asks nobody for anything.
"""

from __future__ import annotations

import json
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING

from jec_assets.plots.style import appearance, minus
from jec_assets.reports.cells import parse_table
from jec_assets.reports.history import history_table
from jec_assets.reports.inline_svg import inline_svg
from jec_assets.reports.report import Table
from jec_assets.reports.results import HEADLINES, headline_text
from jec_assets.reports.text import title

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from jinja2 import Environment

    from jec_assets.reports.calibration_page import CalibrationPage, ServedVersion
    from jec_assets.reports.history import Outcome, Version
    from jec_assets.reports.report import JsonValue, Report, ReportFigure

TEMPLATES = "templates"
FOLDED_ROWS = 24  # tables with more rows, but for a report's first, are folded until somebody opens them

# Of a sheet of A4 and the style sheet's print rules, in points; digits of the widest common font, DejaVu Sans.
PORTRAIT, LANDSCAPE = 527.0, 774.0
DIGIT, PADDING = 4.6, 7.0
REFUSED = "refused, the earlier version stays (the figures above are the refused network's)"


def render(page: CalibrationPage, outcome: Outcome, published: datetime, earlier: Sequence[Version]) -> str:
    """The page, published at this moment after these earlier versions, oldest first."""
    style, script = _source("calibration.css"), _source("calibration.js")
    return (
        _environment()
        .get_template("calibration.html.j2")
        .render(
            page=page,
            outcome=outcome,
            headlines=HEADLINES,
            published=published,
            served=_served_table(page.served),
            history=history_table(outcome, published, earlier),
            style=style,
            script=script,
            policy=content_security_policy(style, script),
            folded_rows=FOLDED_ROWS,
            titles={report.name: report.title for report in page.reports},
        )
    )


def content_security_policy(style: str, script: str) -> str:
    """The policy (CSP 3) under which a browser applies this one style sheet, runs this one script and loads nothing."""
    return (
        f"default-src 'none'; style-src '{_integrity(style)}'; script-src '{_integrity(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _integrity(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def _source(name: str) -> str:
    return (files(__package__) / TEMPLATES / name).read_text(encoding="utf-8")


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(__package__, TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "figure_svg": _figure_svg,
        "correction_title": title,
        "appearance": appearance,
        "setting": _setting,
        "parsed": parse_table,
        "layout": _layout,
        "minus_signs": lambda note: note.replace(" - ", f" {minus('-')} "),
        "published": lambda column: " published" if column.startswith("Published") else "",
    }
    environment.globals["headline_text"] = headline_text
    return environment


def _figure_svg(figure: ReportFigure, report: Report) -> str:
    return inline_svg(figure.svg, f"{report.name}-{figure.name}-", f"{figure.title}. {figure.alt}")


def _layout(table: Table) -> str:
    """Classes by which a table is printed upright, across, or across in smaller letters: by its least width."""
    columns, rows = parse_table(table)
    width = 0.0
    for place, column in enumerate(columns):
        # Titles, notes and text may be broken between words; numbers hold together by spaces that don't break.
        pieces = [*column.title.split(" "), *(piece for row in rows for piece in row[place].text.split(" "))]
        width += DIGIT * max(map(len, pieces)) + PADDING
    if width <= PORTRAIT:
        return "table"
    return "table wide" if width <= LANDSCAPE else "table wide dense"


def _setting(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)


def _served_table(served: Sequence[ServedVersion]) -> Table:
    return Table(
        "Versions behind the endpoint",
        ("Network", "Version", "Promotion"),
        tuple(
            (title(each.family), str(each.version), f"{'promoted' if each.promoted else REFUSED}: {each.reason}")
            for each in served
        ),
    )
