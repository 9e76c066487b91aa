"""Dagster's side of the house: assets in the order of the data's way, checks, jobs, resources.

Belongs here: everything that imports Dagster, and nothing that computes physics: an asset calls the library and says
what came out. Modules follow the flow: jets.py, trials.py, onnx.py, serving.py, reports.py.
"""
