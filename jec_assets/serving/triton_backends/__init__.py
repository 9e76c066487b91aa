"""Backends that are copied into Triton's folder of backends: one folder each, with Triton's own names inside.

Belongs here: files that run inside Triton. Does not belong here: anything that this process imports.
"""
