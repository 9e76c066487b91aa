"""Numbers that say how good a calibration is.

Belongs here: pure functions from arrays and tables to numbers with uncertainties. Does not belong here: figures
(`jec_assets.plots`), sentences and pages (`jec_assets.reports`), running networks (`jec_assets.models.prediction`).

    calibrate, calibrated_jets, alternative, provenance     the tables that everything starts from
    number, bootstrap, sample, grouping, bins               what statistics share
    responses, loss, baselines                              the two quantities that are judged
    response/, jets/, networks/                             statistics of responses, of jets, of networks

Definitions and equation numbers are those of D. Holmberg, D. Golubovic, H. Kirschenmann, "Jet energy calibration
with deep learning as a Kubeflow pipeline", Sections 3 and 5 ("the paper" in this package).
"""
