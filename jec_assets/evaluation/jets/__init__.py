"""The jets themselves, before any network: counts, distributions, and whether the splits are alike.

Belongs here: numbers about inputs and truth. Does not belong here: what corrections make of jets.
"""
