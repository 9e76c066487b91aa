"""Jet energy calibration with neural networks, from ROOT files to a served model.

Everything a physicist would call in a notebook lives in the packages below and never imports Dagster; `jec_assets.defs`
holds the assets that call them. Nothing is imported here, so that `import jec_assets.jets.schema` costs what it says.
"""

__version__ = "0.1.0"
