"""What ParticleNet computes otherwise on a GPU: few large kernels, where a CPU has chunks that fit its cache.

Belongs here: graphs and layers on edges, in kernels that Triton compiles when they are first used. Does not belong
here: what a graph and the layers are (`jec_assets.models.neighbors`, `jec_assets.models.edges`), and the choice by
device, which is made there. Without a GPU only `graph.py` is imported: torch brings Triton with CUDA alone.
"""
