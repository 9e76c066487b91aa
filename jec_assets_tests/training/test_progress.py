from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jec_assets.training.progress import Progress, Throttle


def reported_at(times: list[float], seconds: float) -> list[float]:
    """Which of the calls at these times are handed on; the clock's first reading is the throttle's own."""
    seen: list[Progress] = []
    clock = iter([times[0], *times])
    throttle = Throttle(seen.append, seconds, clock=lambda: next(clock))
    for time in times:
        throttle(Progress(1, 1, 1, 1, loss=time))
    return [progress.loss for progress in seen]


def test_first_report_at_once_then_at_most_every_so_many_seconds() -> None:
    assert reported_at([10.0, 11.0, 13.9, 14.0, 14.1, 30.0, 30.5], seconds=4.0) == [10.0, 14.0, 30.0]


@given(st.lists(st.floats(0, 3), min_size=1, max_size=50))
def test_reports_are_never_further_apart_than_interval_plus_a_step(steps: list[float]) -> None:
    times = [sum(steps[: index + 1]) for index in range(len(steps))]
    reported = reported_at(times, seconds=4.0)
    gaps = [later - earlier for earlier, later in zip(reported, [*reported[1:], times[-1]], strict=True)]
    assert all(gap <= 4.0 + 3.0 for gap in gaps)


def test_progress_reads_as_a_log_line() -> None:
    assert str(Progress(2, 8, 30, 141, 0.07123)) == "epoch 2/8, step 30/141, loss 0.07123"
