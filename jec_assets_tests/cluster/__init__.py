"""What the cluster's answers mean; what is asked of a real API server stands in `jec_assets_tests/kubernetes`."""
