"""What is measured, one module a claim: `python -m benchmarks.NAME`; `make bench` runs those that have a peer."""
