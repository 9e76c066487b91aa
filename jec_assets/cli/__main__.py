"""`python -m jec_assets.cli`, the same as `jec`.

Belongs here: nothing else.
"""

from jec_assets.cli import app

app()
