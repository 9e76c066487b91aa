"""Flat spectra: every bin of a flavor weighs the same, drawn or weighted, as far as the cap allows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from jec_assets.jets.labels import JetLabels, LabeledJets
from jec_assets.jets.packed import PackedJets
from jec_assets.training import reweighting
from jec_assets.training.loader import BatchPlan, ShuffledBatches
from jec_assets.training.reweighting import FLAVORS, FlatSpectrum, ReweightingError, loss_weights, probabilities

PT_EDGES, ETA_EDGES = (30.0, 60.0, 120.0, 240.0), (-2.5, -1.3, 1.3, 2.5)
SPECTRUM = FlatSpectrum(PT_EDGES, ETA_EDGES, max_weight=50.0)
BINS = 9


def falling(jets: int, seed: int = 1) -> JetLabels:
    """A falling pT, central pseudorapidity, more gluons than quarks: all different from flavor to flavor."""
    random = np.random.default_rng(seed)
    flavor = random.choice(FLAVORS, jets, p=[0.02, 0.15, 0.15, 0.08, 0.1, 0.1, 0.4]).astype(np.int32)
    gen_pt = np.minimum(30 * (1 + random.pareto(1.5 + 0.03 * flavor)), 500)
    gen_eta = np.clip(random.normal(0, 1.2 + 0.02 * flavor), -2.49, 2.49)
    # Jets of low pT stand for many, as in a sample that was generated flat in pT.
    event_weight = random.uniform(0.5, 1.5, jets) * (30 / gen_pt) ** 2
    ids = (np.ones(jets, np.int32), np.ones(jets, np.int32), np.arange(jets, dtype=np.uint64))
    target = np.zeros(jets)
    return JetLabels(*ids, flavor, *(values.astype(np.float32) for values in (gen_pt, gen_eta, event_weight, target)))


def contents(labels: JetLabels, weights: np.ndarray | None = None) -> np.ndarray:
    """Sum of weights in each bin, (flavors, bins), by NumPy's own histogram; jets above the edges in the last bin."""
    gen_pt = np.minimum(labels.gen_pt, PT_EDGES[-1] - 1)
    sums = [
        np.histogram2d(
            gen_pt[chosen],
            labels.gen_eta[chosen],
            (PT_EDGES, ETA_EDGES),
            weights=None if weights is None else weights[chosen],
        )[0].ravel()
        for chosen in (labels.flavor == flavor for flavor in FLAVORS)
    ]
    return np.array(sums)


def test_all_bins_of_a_flavor_weigh_the_same() -> None:
    labels = falling(100_000)
    assert contents(labels).max() / contents(labels).min() > 20
    weights = loss_weights(labels, SPECTRUM)
    sums = contents(labels, weights)
    np.testing.assert_allclose(sums, np.repeat(sums.mean(axis=1)[:, None], BINS, axis=1), rtol=1e-4)
    assert weights.dtype == np.float32


def test_flavors_keep_their_shares_and_the_mean_weight_is_one() -> None:
    labels = falling(50_000)
    weights = loss_weights(labels, SPECTRUM)
    for flavor in FLAVORS:
        assert np.mean(weights[labels.flavor == flavor], dtype=np.float64) == pytest.approx(1, rel=1e-5)


def test_drawn_jets_are_flat_within_statistics_in_each_flavor() -> None:
    labels = falling(200_000)
    chosen = probabilities(labels, SPECTRUM)
    assert chosen.max() == 1
    number = np.arange(len(labels), dtype=np.float32)
    jets = LabeledJets(PackedJets(number[:, None], np.arange(len(labels) + 1), number[:, None]), labels)
    batches = ShuffledBatches(jets, BatchPlan(1000, seed=3, sampling=chosen), torch.device("cpu"))
    first, second = (np.concatenate([batch.indices for batch in batches.epoch(epoch)]) for epoch in (1, 2))
    assert not np.array_equal(np.sort(first), np.sort(second))
    for epoch, drawn in ((1, first), (2, second)):
        assert batches.steps(epoch) == -(-len(drawn) // 1000)
        counts = contents(labels.take(drawn))
        assert counts.min() > 20
        # A sum of draws has a variance of at most its expectation: 54 degrees of freedom, five standard deviations.
        expected = counts.mean(axis=1, keepdims=True)
        chi2 = np.sum((counts - expected) ** 2 / expected)
        assert chi2 < 54 + 5 * np.sqrt(2 * 54)
        before = contents(labels.take(drawn[:0])) + contents(labels).sum() / contents(labels).size
        assert np.sum((contents(labels) - before) ** 2 / before) > 100 * chi2


def test_the_physical_spectrum_can_be_the_one_that_is_made_flat() -> None:
    labels = falling(100_000)
    spectrum = replace(SPECTRUM, event_weights=True, max_weight=1e6)
    weights = loss_weights(labels, spectrum)
    sums = contents(labels, weights)
    np.testing.assert_allclose(sums, np.repeat(sums.mean(axis=1)[:, None], BINS, axis=1), rtol=1e-4)
    # Within a bin jets count as they are generated.
    within = (labels.flavor == 21) & (labels.gen_pt < 60) & (np.abs(labels.gen_eta) < 1.3)
    ratio = weights[within] / labels.event_weight[within]
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-5)


def test_rare_bins_weigh_no_more_than_the_cap() -> None:
    labels = falling(20_000)
    lone = labels.take(np.array([0]))
    lone = replace(lone, gen_pt=np.float32([200]), gen_eta=np.float32([2.4]), flavor=np.int32([5]))
    kept = ~((labels.flavor == 5) & (labels.gen_pt >= 120) & (labels.gen_eta > 1.3))
    labels = JetLabels(*(np.append(*pair) for pair in zip(
        vars(labels.take(np.flatnonzero(kept))).values(), vars(lone).values(), strict=True)))  # fmt: skip
    weights = loss_weights(labels, replace(SPECTRUM, max_weight=4.0))
    beauty = labels.flavor == 5
    assert weights[-1] == weights[beauty].max()
    # The cap holds before the weights are normalized, which the capped jets' lack makes necessary.
    uncapped = loss_weights(labels, replace(SPECTRUM, max_weight=1e9))
    assert weights[-1] < 8
    assert uncapped[-1] > 50


def test_jets_outside_the_bins_count_in_the_nearest() -> None:
    labels = replace(
        falling(4),
        flavor=np.array([21, 21, -7, 99], np.int32),
        gen_pt=np.array([5, 900, 30, 120], np.float32),
        gen_eta=np.array([-3, 4, 0, 1.4], np.float32),
    )
    gluon = (len(FLAVORS) - 1) * BINS
    assert SPECTRUM.bin_of(labels).tolist() == [gluon, gluon + 8, 1, 8]


def test_chunks_do_not_change_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = falling(5000)
    whole = loss_weights(labels, SPECTRUM)
    monkeypatch.setattr(reweighting, "CHUNK_JETS", 700)
    np.testing.assert_allclose(loss_weights(labels, SPECTRUM), whole, rtol=1e-6)


def test_without_jets_there_are_no_weights() -> None:
    assert len(loss_weights(falling(0), SPECTRUM)) == len(probabilities(falling(0), SPECTRUM)) == 0


def test_what_cannot_be_made_flat_is_refused() -> None:
    with pytest.raises(ReweightingError, match="gen_pt_edges"):
        FlatSpectrum((30.0, 20.0))
    with pytest.raises(ReweightingError, match=r"max_weight is 0\.5"):
        FlatSpectrum(max_weight=0.5)
    negative = replace(falling(10), event_weight=np.full(10, -1, np.float32))
    with pytest.raises(ReweightingError, match="finite and not negative"):
        loss_weights(negative, replace(SPECTRUM, event_weights=True))
