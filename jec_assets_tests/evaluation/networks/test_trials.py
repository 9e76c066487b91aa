from __future__ import annotations

from dataclasses import replace

import pytest

from jec_assets.evaluation.networks.trials import candidates
from jec_assets.evaluation.provenance import StaleArtifactError
from jec_assets.search.best import publish_best
from jec_assets.search.choice import choose_best
from jec_assets.search.record import publish_record
from jec_assets.storage import Storage
from jec_assets_tests.search.samples import DIGESTS, failed, finished

OTHER = replace(DIGESTS, training_jets="other training jets")


def test_candidates_are_the_trials_that_were_compared(storage: Storage) -> None:
    records = [finished(0, 0.072), finished(1, 0.070), failed(2), finished(3, 0.060, OTHER)]
    for record in records:
        publish_record(storage, record)
    best = publish_best(storage, choose_best(records, DIGESTS))
    assert candidates(storage, best) == records[:2]
    publish_record(storage, finished(4, 0.065))
    assert candidates(storage, best) == records[:2]


@pytest.mark.parametrize("number", [0, 1])
def test_a_trial_of_other_jets_under_a_candidates_number_is_none(storage: Storage, number: int) -> None:
    records = [finished(0, 0.072), finished(1, 0.070)]
    for record in records:
        publish_record(storage, record)
    best = publish_best(storage, choose_best(records, DIGESTS))
    publish_record(storage, finished(number, 0.05, OTHER))
    with pytest.raises(StaleArtifactError, match=rf"trials 00{number} of pfn .* materialize pfn/best_model"):
        candidates(storage, best)
