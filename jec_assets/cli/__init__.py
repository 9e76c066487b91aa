"""`jec`: for people who are not at the Dagster UI.

Belongs here: commands, their options and what they print, a module for each part of the work. Does not belong here:
what they do, which is a call of the library. Libraries are imported inside the commands, so that `jec --help` answers
at once.
"""

from jec_assets.cli import jets, models, serving, training, workplace
from jec_assets.cli.app import app

__all__ = ["app", "jets", "models", "serving", "training", "workplace"]
