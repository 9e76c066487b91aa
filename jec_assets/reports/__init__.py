"""Reports: tables, figures and sentences about a calibration, and the one page that holds them all.

Belongs here: turning numbers (`jec_assets.evaluation`) and figures (`jec_assets.plots`) into reports, publishing them,
and the self-contained HTML page. Does not belong here: computing numbers or drawing.

Each report is built by one function from plain data: tables, results, records.
"""
