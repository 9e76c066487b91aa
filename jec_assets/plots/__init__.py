"""Figures: each function takes numbers and returns a matplotlib Figure.

Belongs here: drawing, one look for all (`style.py`), and turning figures into bytes (`rendering.py`). Does not belong
here: computing what is drawn (`jec_assets.evaluation`).

Figures are made without pyplot, so nothing is left open and no display is needed. matplotlib is imported inside
functions: it is slow, and the modules of this package are imported where Dagster loads its definitions.
"""
