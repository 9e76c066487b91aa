"""The search for hyperparameters: spaces, the sampler, trials, their records, and the choice among them.

Nothing is imported here; of the modules none imports torch or Optuna before it has work for them.
"""
