"""How many jets a core simulates per second, pileup 23 included: `python benchmarks/simulation_rate.py [JETS]`.

One process; the CPU time of the stage that makes the jets, without the pileup pool and the standard correction, which a
sample needs once. Ends with `simulation_jets_per_cpu_second RATE`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import psutil

from jec_assets.simulation import SimulationPlan, simulate


class JetsStage:
    """CPU seconds of the worker between the first and the last report of the stage `jets`."""

    def __init__(self) -> None:
        self.first: tuple[int, float] | None = None
        self.last: tuple[int, float] = (0, 0.0)

    def __call__(self, done: int, wanted: int, stage: str) -> None:
        """Take a reading; a worker that has ended can't be asked, so the last reading is the one before."""
        if stage != "jets" or done == wanted:
            return
        seconds = sum(sum(child.cpu_times()[:2]) for child in psutil.Process().children(recursive=True))
        self.last = (done, seconds)
        if self.first is None and done:
            self.first = self.last


def main(jets: int) -> None:
    """Simulate and print the rate."""
    stage = JetsStage()
    with tempfile.TemporaryDirectory() as folder:
        plan = SimulationPlan(
            jets, Path(folder) / "jets", jets_per_file=jets, derivation_jets=2000, pileup_collisions=3000
        )
        simulate(plan, stage)
    assert stage.first is not None, "too few jets to see a rate: give more"
    jets_made, seconds = stage.last[0] - stage.first[0], stage.last[1] - stage.first[1]
    print(f"{jets_made} jets in {seconds:.1f} CPU seconds")
    print(f"simulation_jets_per_cpu_second {jets_made / seconds:.0f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2500)
