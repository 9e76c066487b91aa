"""What is applied to a cluster; applying it is tested in `jec_assets_tests/kubernetes/test_endpoint.py`."""
