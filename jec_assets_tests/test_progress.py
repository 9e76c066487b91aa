from __future__ import annotations

from io import StringIO

from rich.console import Console

from jec_assets.progress import TrainingBars
from jec_assets.training.progress import Progress

REPORTS = [Progress(1, 2, 5, 10, 0.25, jets_per_second=1234.5), Progress(2, 2, 10, 10, 0.125, jets_per_second=2345.6)]


def shown(terminal: bool) -> str:
    console = Console(file=StringIO(), force_terminal=terminal, width=140)
    with TrainingBars(console) as bars:
        first, second = bars.reporter("PFN trial 000"), bars.reporter("PFN trial 001")
        for progress in REPORTS:
            first(progress)
        second(REPORTS[0])
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_a_log_gets_a_line_per_report() -> None:
    assert shown(terminal=False).splitlines() == [
        "PFN trial 000: epoch 1/2, step 5/10, loss 0.25000",
        "PFN trial 000: epoch 2/2, step 10/10, loss 0.12500",
        "PFN trial 001: epoch 1/2, step 5/10, loss 0.25000",
    ]


def test_a_terminal_gets_a_bar_per_training() -> None:
    text = shown(terminal=True)
    assert "PFN trial 000" in text
    assert "epoch 2/2, loss 0.1250, 2,346 jets/s" in text
    assert "0:00:00" in text
    assert "PFN trial 001" in text
    assert "epoch 1/2, loss 0.2500, 1,23" in text
