"""Applying networks to jets: the table that every evaluation starts from.

Belongs here: predicting, and where the table lies. Does not belong here: reading it as arrays (`calibrated_jets.py`)
and what is computed from it.

    calibrated_test_jets/<digest>.parquet
    calibrated_test_jets.json              the pointer: the table, and the digests of jets and networks it is made of
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from io import BytesIO
from typing import TYPE_CHECKING

import polars as pl

from jec_assets.evaluation.calibrated_jets import LOG_FACTOR_PREFIX, QUANTILE_PREFIXES
from jec_assets.evaluation.provenance import require_current, split_digest, weights_digests

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jec_assets.jets.dataset import SplitJets
    from jec_assets.models.network import JetNetwork
    from jec_assets.storage import Storage

ASSET = "calibrated_test_jets"
POINTER = f"{ASSET}.json"


@dataclass(frozen=True)
class CalibratedTable:
    """A published table. networks: digest of each family's weights."""

    key: str
    digest: str
    jets: int
    split_digest: str
    networks: dict[str, str]


def calibrate(jets: SplitJets, networks: Mapping[str, JetNetwork]) -> pl.DataFrame:
    """The jets' table with a column `log_factor_<family>` per network: predicted log(genJetPt / jetPt).

    A network that predicts quantiles adds `quantile_16_<family>` and `quantile_84_<family>`.
    """
    from jec_assets.models.prediction import on_best_device, predict_outputs

    columns = []
    for family, network in networks.items():
        with on_best_device(network):
            outputs = predict_outputs(network, jets.packed)
        names = (LOG_FACTOR_PREFIX, *QUANTILE_PREFIXES)[: outputs.shape[1]]
        columns += [pl.Series(f"{name}{family}", outputs[:, place]) for place, name in enumerate(names)]
    return jets.table.with_columns(columns)


def publish_calibrated(
    storage: Storage, table: pl.DataFrame, split_digest: str, networks: Mapping[str, str]
) -> CalibratedTable:
    """Publish a table under its digest, then its pointer."""
    buffer = BytesIO()
    table.write_parquet(buffer, compression="zstd")
    artifact = storage.publish_named_by_digest(ASSET, ".parquet", buffer.getvalue())
    published = CalibratedTable(artifact.key, artifact.digest, len(table), split_digest, dict(networks))
    storage.publish_json(POINTER, asdict(published))
    return published


def load_calibrated_record(storage: Storage, families: Sequence[str]) -> CalibratedTable:
    """What the published table is made of: the present test jets and best models of these families.

    ArtifactMissingError where `calibrated_test_jets` was not materialized, StaleArtifactError where that was before
    the jets or a model changed.
    """
    published = CalibratedTable(**storage.read_json(POINTER))
    require_current(
        ASSET,
        {"test_jets": published.split_digest, "best_models": published.networks},
        {"test_jets": split_digest(storage, "test"), "best_models": weights_digests(storage, families)},
    )
    return published


def load_calibrated(storage: Storage, families: Sequence[str]) -> pl.DataFrame:
    """The published table; raises what `load_calibrated_record` does."""
    return pl.read_parquet(BytesIO(storage.read_bytes(load_calibrated_record(storage, families).key)))
