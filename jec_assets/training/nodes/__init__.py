"""Training one network on several machines of a cluster.

Belongs here: what a machine does (`node.py`), where the machines meet (`meeting.py`), the files by which they and
whoever waits for them speak (`files.py`), the objects of Kubernetes that start them (`indexed_job.py`, `kubeflow.py`),
and following them to their end (`follow.py`). Does not belong here: the processes of one machine (`launch.py`).
"""
