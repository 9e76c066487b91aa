"""The response of calibrated jets: medians, flavor dependence, resolution, closure, and what remains to be corrected.

Belongs here: statistics of tables of calibrated jets that look at their response. Does not belong here: the tools they
share (`bootstrap.py`, `grouping.py`, `sample.py` of the package above) and the loss.
"""
