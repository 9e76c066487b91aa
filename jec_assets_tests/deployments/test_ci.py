"""The workflow for GitHub: pinned, without rights that it does not need, and running what there is."""

from __future__ import annotations

import re
from typing import Any

import yaml

from jec_assets_tests.deployments.rendered import DEPLOYMENTS, REPOSITORY

TEXT = (DEPLOYMENTS / "ci/github-actions.yaml").read_text()
WORKFLOW: dict[str, Any] = yaml.safe_load(TEXT)
STEPS = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]


def test_actions_are_pinned_by_commit() -> None:
    used = [step["uses"] for step in STEPS if "uses" in step]
    assert used
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", each) for each in used)


def test_it_may_read_and_nothing_else() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert not any("permissions" in job for job in WORKFLOW["jobs"].values())
    assert "secrets." not in TEXT
    assert all(step["with"]["persist-credentials"] is False for step in STEPS if "checkout" in step.get("uses", ""))


def test_no_command_is_built_from_what_others_write() -> None:
    assert not any("${{" in step.get("run", "") for step in STEPS)


def test_it_runs_the_job_of_one_machine_and_ends_what_it_started() -> None:
    from jec_assets.definitions import defs

    [command] = [step["run"] for step in STEPS if "dagster job execute" in step.get("run", "")]
    job = command.split()[-1]
    assert defs.resolve_job_def(job).name == "calibration"
    assert "make stop" in [step["run"] for step in STEPS if step.get("if") == "always()" and "run" in step]


def test_torch_is_the_one_that_is_pinned() -> None:
    assert WORKFLOW["env"]["TORCH"].split()[0].removesuffix("+cpu") in (REPOSITORY / "constraints.txt").read_text()
