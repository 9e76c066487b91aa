"""What a jet is: schema, sources, reading ROOT, selection, features, splits, packed batches.

No Dagster, no torch: NumPy, awkward and polars only, so that the same jets serve any consumer.
"""
