"""How numbers and pictures show in the Dagster UI: tables and figures as Markdown.

Belongs here: formatting for the UI. Does not belong here: numbers or figures themselves (`evaluation/`, `plots/`).
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

import dagster as dg

from jec_assets.reports.publishing import pointer_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jec_assets.reports.report import Report
    from jec_assets.storage import Storage

# What Dagster takes as an event's metadata, as far as this project uses it.
Metadata = dict[str, str | int | float | dg.MetadataValue | None]


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> dg.MarkdownMetadataValue:
    """A table, one row a line."""
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    lines += [
        "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in rows
    ]
    return dg.MetadataValue.md("\n".join(lines))


def markdown_figure(alt: str, png: bytes) -> dg.MarkdownMetadataValue:
    """A picture inside the metadata itself, so that it shows wherever the storage root is."""
    return dg.MetadataValue.md(f"![{alt}](data:image/png;base64,{b64encode(png).decode()})")


def report_metadata(storage: Storage, report: Report) -> Metadata:
    """A report's summary, tables and figures."""
    metadata: Metadata = {"summary": report.summary, "uri": storage.uri(pointer_key(report.name))}
    metadata |= {table.title: markdown_table(table.columns, table.rows) for table in report.tables}
    metadata |= {figure.title: markdown_figure(figure.alt, figure.png) for figure in report.figures}
    return metadata
