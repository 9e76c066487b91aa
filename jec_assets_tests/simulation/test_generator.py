from __future__ import annotations

import numpy as np
import pytest

from jec_assets.simulation.errors import SimulationError
from jec_assets.simulation.generator import GeneratedEvents, Generator, dijet_generator
from jec_assets.simulation.particles import NEUTRINOS, Particles
from jec_assets.simulation.tunes import NOMINAL_TUNE, TUNES

pytestmark = pytest.mark.needs("pythia")


def momentum(particles: Particles, events: int) -> np.ndarray:
    """(px, py, pz, E) of each event, (events, 4)."""
    pt, eta, phi = (column.astype(np.float64) for column in (particles.pt, particles.eta, particles.phi))
    components = (pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), particles.energy)
    return np.stack([np.bincount(particles.event, column, minlength=events) for column in components], axis=1)


def test_undoing_strange_decays_keeps_the_momentum(generated: GeneratedEvents) -> None:
    # Decays to neutrinos are the only difference: none of the strange hadrons' own decays has one at these numbers.
    final, stable = (momentum(column, len(generated))[:, :2] for column in (generated.final, generated.stable))
    same = np.all(np.abs(final - stable) < 0.01, axis=1)
    assert same.mean() > 0.95


def test_strange_hadrons_decay_for_the_detector_and_not_at_particle_level(generated: GeneratedEvents) -> None:
    assert np.sum(generated.stable.pdg == 310) > 4 * np.sum(generated.final.pdg == 310)
    assert len(generated.stable) < len(generated.final)


def test_no_neutrinos(generated: GeneratedEvents) -> None:
    for particles in (generated.final, generated.stable):
        assert not np.isin(np.abs(particles.pdg), NEUTRINOS).any()


def test_particles_are_ordered_by_event(generated: GeneratedEvents) -> None:
    for name in ("final", "stable", "partons", "hadrons", "hard_partons"):
        assert np.all(np.diff(getattr(generated, name).event) >= 0)


def test_there_are_two_hard_partons_at_the_scale_of_the_scatter(generated: GeneratedEvents) -> None:
    assert np.bincount(generated.hard_partons.event).tolist() == [2] * len(generated)
    np.testing.assert_allclose(generated.hard_partons.pt[::2], generated.pthat, rtol=0.05, atol=2)


def test_weights_fall_with_the_scale(generated: GeneratedEvents) -> None:
    np.testing.assert_allclose(generated.weight, (15 / generated.pthat) ** 4.5, rtol=1e-4)


def test_partons_and_hadrons_are_what_they_say(generated: GeneratedEvents) -> None:
    assert set(np.abs(generated.partons.pdg).tolist()) <= {1, 2, 3, 4, 5, 21}
    assert np.all(np.abs(generated.hadrons.pdg) > 400)


@pytest.mark.parametrize("tune", TUNES)
def test_every_tune_starts_and_repeats_itself(tune: str) -> None:
    one, other = (dijet_generator(TUNES[tune], 5).generate(3) for _ in range(2))
    assert np.array_equal(one.final.pt, other.final.pt)


def test_tunes_and_seeds_differ(generated: GeneratedEvents) -> None:
    jets = [
        dijet_generator(TUNES[tune], seed).generate(3)
        for tune, seed in ((NOMINAL_TUNE, 5), (NOMINAL_TUNE, 6), ("a14", 5))
    ]
    assert len({float(events.final.pt.sum()) for events in jets}) == 3


def test_a_setting_that_pythia_does_not_know_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SimulationError, match="'Tune:nonsense = 3'"):
        Generator(("Tune:nonsense = 3",), 1)
