from __future__ import annotations

import pytest

from jec_assets.models.families import FAMILIES, UnknownFamilyError
from jec_assets.search.spaces import OneOf, Uniform, space_of


def test_the_papers_spaces() -> None:
    layers, units = OneOf((1, 2, 3, 4, 5)), OneOf((50, 100, 200, 400))
    assert dict(space_of("pfn").network) == {
        "phi_layers": layers,
        "phi_units": units,
        "head_layers": layers,
        "head_units": units,
        "dropout": Uniform(0, 0.5),
    }
    few, narrow = OneOf((1, 2, 3)), OneOf((50, 100, 200))
    assert dict(space_of("particle_net").network) == {
        "blocks": few,
        "neighbors": OneOf((4, 8, 16)),
        "layers": few,
        "units": narrow,
        "head_layers": few,
        "head_units": narrow,
        "dropout": Uniform(0, 0.5),
    }
    for family in ("pfn", "particle_net"):
        assert space_of(family).learning_rate == Uniform(1e-5, 1e-2)
        assert set(space_of(family).optimizers) == {"AdaGrad", "Adam", "AdamW", "Ranger", "RMSProp"}


def test_how_part_is_trained_is_searched_as_in_the_tagging_study() -> None:
    space = space_of("particle_transformer")
    assert space.learning_rate == Uniform(5e-4, 1.5e-3)
    assert set(space.optimizers) == {"Adam", "AdamW", "Ranger"}


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_has_a_space_that_holds_its_published_optimum(name: str) -> None:
    space, published = space_of(name), FAMILIES[name].optimum.to_dict()
    assert set(space.network) == set(published)
    for parameter, values in space.network.items():
        if isinstance(values, OneOf):
            assert published[parameter] in values.values
        else:
            assert values.low <= published[parameter] <= values.high
    assert space.optimum.optimizer in space.optimizers
    assert space.learning_rate.low <= space.optimum.learning_rate <= space.learning_rate.high


def test_an_unknown_family_is_named() -> None:
    with pytest.raises(UnknownFamilyError, match=r"'mlp': choose from pfn, particle_net"):
        space_of("mlp")
