"""What talks to a Kubernetes API: `make test-k8s`, apart from `make test`, because each test starts many processes."""
