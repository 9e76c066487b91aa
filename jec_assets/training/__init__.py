"""Training a network on packed jets: batches, loss, optimizers, schedule and the loop.

Nothing is imported here: `config`, `progress`, `result` and `faults` are light, the other modules import torch.
"""
