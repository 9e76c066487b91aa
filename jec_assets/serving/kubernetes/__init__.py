"""The endpoint on a Kubernetes cluster.

Belongs here: what of Triton is applied to a cluster (`plan.py`, `pod.py`, `deployment.py`, `inference_service.py`), and
applying it until it answers (`applying.py`). Does not belong here: the cluster itself (`jec_assets.cluster`) and which
models are loaded (`jec_assets.serving.deployment`).
"""
