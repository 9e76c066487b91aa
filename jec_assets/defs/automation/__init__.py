"""What Dagster does by itself: retraining as files arrive, schedules, telling of failures, watching over freshness.

Belongs here: sensors, schedules, freshness policies, and what they decide by. Does not belong here: what runs then
(`jobs.py` and the assets).
"""
