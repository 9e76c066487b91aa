"""The published study's results, to stand beside ours.

Belongs here: published numbers. Does not belong here: ours, and the comparison (`comparison.py`).

Source: D. Holmberg, D. Golubovic, H. Kirschenmann, "Jet energy calibration with deep learning as a Kubeflow pipeline":
Tables 2, 3 and 4, Figure 8. It used 1.42 million jets of CMS's full simulation; numbers of any other detector can't be
compared with them, so whoever shows them says so with NOT_COMPARABLE.
"""

from __future__ import annotations

from jec_assets.evaluation.calibrated_jets import STANDARD

NOT_COMPARABLE = "not comparable: another detector, and no particle types among the inputs"
NOTE = (
    f"Published: Holmberg et al., 1.42 million jets of CMS's full simulation; {NOT_COMPARABLE} "
    "(nor here with the feature set “paper”)."
)

LOSS = {STANDARD: 9.427e-2, "pfn": 8.768e-2, "particle_net": 8.746e-2}
GAIN = {"pfn": 0.0752, "particle_net": 0.0779}
PARAMETERS = {"pfn": "355.45k", "particle_net": "123.47k"}
MACS = {"pfn": "1.43M", "particle_net": "47.59M"}

# Table 2: Pearson's coefficient of each hyperparameter with 1 / test loss
CORRELATION = {
    "pfn": {
        "phi_layers": 0.27,
        "phi_units": -0.21,
        "head_layers": -0.08,
        "head_units": 0.33,
        "dropout": -0.54,
        "learning_rate": -0.39,
    },
    "particle_net": {
        "blocks": 0.22,
        "neighbors": -0.04,
        "layers": 0.17,
        "units": -0.21,
        "head_layers": 0.02,
        "head_units": 0.40,
        "dropout": -0.39,
        "learning_rate": -0.34,
    },
}
# Section 5.1: means over the quarter of the trials with the lowest test loss, and over that with the highest
QUARTILES = {
    "pfn": {"learning_rate": (3.0e-3, 5.6e-3), "dropout": (0.11, 0.31)},
    "particle_net": {"learning_rate": (3.3e-3, 6.3e-3), "dropout": (0.16, 0.31)},
}

# Jets per second at batch sizes 2 and 1024, by device (Figure 8)
THROUGHPUT = {
    "pfn": {"CPU": (71, 3086), "V100": (285, 27_929)},
    "particle_net": {"CPU": (49, 310), "V100": (247, 1805)},
}

# Table 4: improvement of flavor dependence (alpha) and of resolution (beta) by family, region and interval of pT_gen.
ALPHA = {
    "pfn": {
        "barrel": {"30-100": 0.0804, "100-300": 0.2325, "300-1000": 0.5752, ">1000": 0.6862},
        "endcap": {"30-100": 0.1201, "100-300": 0.4959, "300-1000": 0.6805, ">1000": 0.3791},
    },
    "particle_net": {
        "barrel": {"30-100": 0.0671, "100-300": 0.2452, "300-1000": 0.5611, ">1000": 0.6834},
        "endcap": {"30-100": 0.1797, "100-300": 0.4507, "300-1000": 0.7002, ">1000": 0.3756},
    },
}
BETA = {
    "pfn": {
        "barrel": {"30-100": 0.0023, "100-300": 0.0143, "300-1000": 0.0453, ">1000": 0.0795},
        "endcap": {"30-100": 0.0097, "100-300": 0.0693, "300-1000": 0.1290, ">1000": 0.0497},
    },
    "particle_net": {
        "barrel": {"30-100": 0.0064, "100-300": 0.0161, "300-1000": 0.0481, ">1000": 0.0775},
        "endcap": {"30-100": 0.0125, "100-300": 0.0707, "300-1000": 0.1193, ">1000": 0.0937},
    },
}


def published_share(
    table: dict[str, dict[str, dict[str, float]]], family: str, region: str, interval: str
) -> float | None:
    """An entry of ALPHA or BETA; None where nothing was published."""
    return table.get(family, {}).get(region, {}).get(interval)
