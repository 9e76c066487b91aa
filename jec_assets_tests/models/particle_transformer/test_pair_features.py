"""The four numbers of a pair against their definition from four-momenta, and where that has none."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from jec_assets.models.inputs import MissingFeatureError, NetworkInputs
from jec_assets.models.particle_transformer.pair_features import Kinematics, pair_features
from jec_assets_tests.models import reference

INPUTS = NetworkInputs(particle_features=4, jet_features=0, points=(1, 2), log_pt=0, mass=3)
KINEMATICS = Kinematics.of(INPUTS)


def some_particles(count: int) -> Tensor:
    """log pT, eta, phi, mass, (particles, 4)."""
    generator = torch.Generator().manual_seed(1)
    particles = torch.randn(count, 4, generator=generator, dtype=torch.float64)
    particles[:, 3] = particles[:, 3].abs() / 10
    return particles


def of_all_pairs(particles: Tensor, kinematics: Kinematics = KINEMATICS) -> Tensor:
    """(particles, particles, 4)."""
    count = len(particles)
    first, second = torch.cartesian_prod(torch.arange(count), torch.arange(count)).unbind(1)
    return pair_features(kinematics.momenta(particles), first, second).reshape(count, count, 4)


def test_they_are_those_of_the_four_momenta() -> None:
    particles = some_particles(7)
    momenta = reference.four_momenta(particles, INPUTS)
    found = of_all_pairs(particles)
    for i in range(7):
        for j in range(7):
            if i != j:
                torch.testing.assert_close(found[i, j], reference.pair_features(momenta[i], momenta[j]))


def test_order_does_not_matter() -> None:
    found = of_all_pairs(some_particles(6))
    torch.testing.assert_close(found, found.transpose(0, 1), rtol=0, atol=0)


def test_a_boost_along_the_beam_and_a_turn_around_it_change_nothing_for_massless_particles() -> None:
    massless = Kinematics(0, 1, 2, None)
    particles = some_particles(6)
    moved = particles + torch.tensor([0.0, 1.3, -2.0, 0.0])
    apart = ~torch.eye(6, dtype=torch.bool)
    torch.testing.assert_close(of_all_pairs(moved, massless)[apart], of_all_pairs(particles, massless)[apart])


def test_the_mass_of_close_particles_keeps_its_digits_in_single_precision() -> None:
    particles = some_particles(2)
    particles[1] = particles[0] + torch.tensor([0.1, 1e-4, -2e-4, 0.0])
    particles[:, 0] += 4
    exact = of_all_pairs(particles)
    torch.testing.assert_close(of_all_pairs(particles.float()).double(), exact, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "particle",
    [
        (0.0, 0.0, 0.0, 0.0),
        (-torch.inf, 0.0, 0.0, 0.0),  # pT = 0, a four-momentum of zeros
        (2.0, 0.3, -0.2, 0.0),
        (1e30, 1e30, 0.0, 1e30),
        (-1e30, -1e30, 3.0, -1e30),
    ],
)
def test_equal_particles_and_zeros_give_numbers_and_derivatives(particle: tuple[float, ...]) -> None:
    particles = torch.tensor([particle, particle, (1.0, 0.1, 0.2, 0.14)], requires_grad=True)
    found = of_all_pairs(particles)
    assert torch.isfinite(found).all()
    found.sum().backward()
    assert particles.grad is not None
    assert torch.isfinite(particles.grad).all()


def test_collinear_particles_are_cut_where_published() -> None:
    particles = torch.tensor([(2.0, 0.3, -0.2, 0.0), (1.0, 0.3, -0.2, 0.0)], dtype=torch.float64)
    smallest = torch.tensor(1e-8, dtype=torch.float64).log()
    log_kt, _, log_delta, log_mass2 = of_all_pairs(particles)[0, 1].tolist()
    assert [log_kt, log_delta, log_mass2] == pytest.approx([smallest.item()] * 3)


def test_a_feature_set_without_momenta_is_refused() -> None:
    with pytest.raises(MissingFeatureError, match="log_pt"):
        Kinematics.of(NetworkInputs(particle_features=4, jet_features=0, points=(1, 2)))
