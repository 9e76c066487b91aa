"""`python -m jec_assets.cli`, the same as `jec`."""

from jec_assets.cli import app

app()
