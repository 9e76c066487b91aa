"""The Dockerfile, as far as it can be looked at without Docker: pinned, without root, secrets and build tools."""

from __future__ import annotations

import re

import pytest

from jec_assets_tests.deployments.rendered import BASE, DEPLOYMENTS, REPOSITORY, of_kind, pod_template, rendered

FILE = DEPLOYMENTS / "docker/Dockerfile"
IMAGES = ("cpu", "gpu")

Instruction = tuple[str, str]


def _instructions() -> list[Instruction]:
    """Of all stages, in their order; lines that go on are joined, comments left out."""
    lines = [line for line in FILE.read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def _stage(name: str) -> list[Instruction]:
    """The instructions of a stage and of the stages that it is built upon."""
    found: list[Instruction] = []
    inside = False
    for word, rest in _instructions():
        if word == "FROM":
            base, _, alias = rest.partition(" AS ")
            inside = alias == name
            found = [*_stage(base), (word, rest)] if inside else found
        elif inside:
            found.append((word, rest))
    return found


def test_base_images_are_pinned_to_a_release() -> None:
    stages = {rest.partition(" AS ")[2] for word, rest in _instructions() if word == "FROM"}
    bases = {rest.partition(" AS ")[0] for word, rest in _instructions() if word == "FROM"}
    assert {*IMAGES} <= stages
    for base in bases - stages:
        assert re.fullmatch(r"python:3\.11\.\d+-slim-[a-z]+(@sha256:[0-9a-f]{64})?", base), base


@pytest.mark.parametrize("image", IMAGES)
def test_it_does_not_run_as_root(image: str) -> None:
    instructions = _stage(image)
    assert [rest for word, rest in instructions if word == "USER"][-1] == "10001:10001"
    assert [word for word, _ in instructions][-2:] == ["USER", "CMD"], "something happens after the user is set"
    spec = pod_template(of_kind(rendered(BASE), "Deployment")["jec-code"])
    assert spec is not None
    assert spec["securityContext"]["runAsUser"] == 10001


@pytest.mark.parametrize("image", IMAGES)
def test_dagster_may_give_the_whole_command(image: str) -> None:
    assert "ENTRYPOINT" not in {word for word, _ in _stage(image)}


@pytest.mark.parametrize("image", IMAGES)
def test_it_is_built_elsewhere_and_only_the_result_copied(image: str) -> None:
    instructions = _stage(image)
    assert [rest for word, rest in instructions if word == "COPY"] == [f"--from=build-{image} /opt/jec /opt/jec"]
    assert not any("pip" in rest for word, rest in instructions if word == "RUN")
    installed = " ".join(rest for word, rest in instructions if word == "RUN" and "apt-get" in rest)
    packages = installed.partition("--no-install-recommends ")[2].partition(" &&")[0].split()
    assert packages == ([] if image == "cpu" else ["gcc", "libc6-dev"])


@pytest.mark.parametrize("image", IMAGES)
def test_what_is_installed_is_pinned_and_what_a_pod_needs(image: str) -> None:
    commands = [rest for word, rest in _stage(f"build-{image}") if word == "RUN" and "pip install" in rest]
    assert all("-c constraints.txt" in command or "--no-deps" in command for command in commands)
    [extras] = re.findall(r"\.\[([\w,]+)\]", " ".join(commands))
    assert extras.split(",") == [image, "kubernetes", "dask", "xrootd"]
    torch = re.search(r"torch==([\d.]+)", " ".join(commands))
    assert torch
    assert f"torch=={torch[1]}" in (REPOSITORY / "constraints.txt").read_text()


@pytest.mark.parametrize("image", IMAGES)
def test_everything_that_is_written_goes_to_one_folder(image: str) -> None:
    text = " ".join(rest for word, rest in _stage(image) if word == "ENV")
    variables = dict(pair.split("=", 1) for pair in text.split())
    for name in ("HOME", "TMPDIR", "MPLCONFIGDIR", "TRITON_CACHE_DIR"):
        assert variables[name].startswith("/tmp"), name  # noqa: S108
    assert f"dagster_home: {variables['DAGSTER_HOME']}" in (BASE / "dagster.yaml").read_text()


def test_nothing_comes_from_the_internet_but_packages_and_no_secret_goes_in() -> None:
    instructions = _instructions()
    assert "ADD" not in {word for word, _ in instructions}
    assert not any(
        tool in rest for word, rest in instructions for tool in ("curl", "wget", "git clone") if word == "RUN"
    )
    assert not any(
        re.search("PASSWORD|SECRET|TOKEN|KEY", rest) for word, rest in instructions if word in {"ARG", "ENV"}
    )


def test_the_build_sees_only_what_it_copies() -> None:
    ignored = (DEPLOYMENTS / "docker/Dockerfile.dockerignore").read_text().splitlines()
    rules = [line for line in ignored if line and not line.startswith("#")]
    assert rules[0] == "*"
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = {
        source
        for word, rest in _instructions()
        if word == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    }
    assert let_in == copied
    assert all((REPOSITORY / name).exists() for name in let_in)
