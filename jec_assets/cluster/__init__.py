"""Talking to a Kubernetes cluster.

Belongs here: connecting (`connection.py`), applying and removing objects (`apply.py`), and what becomes of the Pods
behind them (`pods.py`, `rollout.py`). Does not belong here: what is applied. Manifests are plain dictionaries, built by
pure functions of the packages that know what for.
"""
