"""The networks and nothing else: what they are built from, the torch modules, their files, their predictions.

Belongs here: families and their hyperparameters (no torch: `families.py`, `hyperparameters.py`, `inputs.py`,
`complexity.py`), the modules themselves, saving and predicting. Does not belong here: losses, optimizers and loops
(`jec_assets.training`), which hyperparameters to try (`jec_assets.search`), ONNX (`jec_assets.serving`).
"""
