"""What stands in deployments/: it renders, Kubernetes would take it, and it asks for no more than it needs."""
