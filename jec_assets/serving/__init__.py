"""From a trained network to answers over HTTP and gRPC.

Belongs here: ONNX export (`export.py`), the decision to publish (`promotion.py`), Triton's model repository
(`repository.py`, `config.py`), this machine's own Triton (`triton.py`), what keeps it alive (`watch.py`) and its ONNX
Runtime backend (`triton_backends/`), the client (`client.py`), what is measured through it (`selftest.py`,
`latency.py`), and calibrating arrays and files with a published model (`calibrator.py`, `calibrated_file.py`). Does not
belong here: the networks (`jec_assets.models`) and whether they are good (`jec_assets.evaluation`).
"""
