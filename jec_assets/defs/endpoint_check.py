"""The check of the endpoint that can be made at any time: `answers_as_published`, a check of served_endpoint.

Belongs here: running the self-test of what is served now. Does not belong here: the test (`jec_assets.serving`), and
when it is made (`automation/schedules.py`).
"""

import dagster as dg

from jec_assets.defs.families import families_at_hand
from jec_assets.defs.kubernetes import EVALUATION
from jec_assets.defs.metadata import markdown_table
from jec_assets.defs.resources import SettingsParam, StorageParam
from jec_assets.defs.serving import SELF_TEST_JETS, served_endpoint
from jec_assets.jets.dataset import load_split
from jec_assets.serving.endpoint import EndpointError
from jec_assets.serving.selftest import self_test
from jec_assets.serving.served import load_endpoint
from jec_assets.serving.setup import repository_of
from jec_assets.serving.transport import DeadlineError, RequestRefusedError, ServerUnavailableError

COLUMNS = ["model", "version", "largest |served - computed here|"]


# Blocking, so that a run whose endpoint fails it has failed, and `failed_runs` tells of it.
@dg.asset_check(asset=served_endpoint, blocking=True, op_tags=EVALUATION)
def answers_as_published(settings: SettingsParam, storage: StorageParam) -> dg.AssetCheckResult:
    """Over HTTP and gRPC, the endpoint answers real jets with what ONNX Runtime computes of the published models."""
    repository, endpoint = repository_of(settings, storage), load_endpoint(storage)
    jets = load_split(storage, "validation").packed.slice(0, SELF_TEST_JETS)
    rows: list[tuple[str, int, str]] = []
    try:
        for model in repository.served(families_at_hand(settings, storage)):
            test = self_test(endpoint, repository, model, jets)
            rows.append((test.family, test.version, f"{test.max_abs_difference:.1e}"))
    except (EndpointError, RequestRefusedError, ServerUnavailableError, DeadlineError) as fault:
        return dg.AssetCheckResult(passed=False, metadata={"fault": str(fault), "url": endpoint.url})
    return dg.AssetCheckResult(passed=True, metadata={"answers": markdown_table(COLUMNS, rows), "url": endpoint.url})
