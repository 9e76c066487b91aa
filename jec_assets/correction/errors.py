"""What can go wrong with a correction, as exceptions.

Belongs here: exceptions that more than one module raises. Does not belong here: errors of files (`jec_assets.jets`).
"""

from __future__ import annotations


class CorrectionError(ValueError):
    """A correction's tables make no sense; the message names the table and the bin."""


class TooFewJetsError(CorrectionError):
    """A bin holds too few jets to derive a correction from."""
