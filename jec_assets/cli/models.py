"""Commands about the model repository: `jec models list`, `show`, `diff`, `promote`, `rollout`, `rollback`, `tag`, ...

Belongs here: options, tables and JSON. Does not belong here: searching (`jec_assets.serving.catalog`) and serving
(`jec_assets.serving.deployment`). A command that changes what is served tells the recorded endpoint, if it runs.
"""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table

from jec_assets.cli.app import app, console, fail, settings_now, storage_of

if TYPE_CHECKING:
    from jec_assets.serving.catalog import Entry
    from jec_assets.serving.deployment import Deployed
    from jec_assets.serving.endpoint import Endpoint
    from jec_assets.serving.repository import ModelRepository

models = typer.Typer(help="Versions of models: find, compare, promote and roll back.", no_args_is_help=True)
app.add_typer(models, name="models")

DIGEST_SHOWN = 8  # characters of it
TOKEN_VARIABLE = "JEC_REPOSITORY_TOKEN"  # noqa: S105 - where a secret is, not one; no setting, or it would be shown
Family = Annotated[str, typer.Argument(help="pfn, particle_net, ...")]
Version = Annotated[str, typer.Argument(help="A version: its number, a tag, or `served`.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


def _repository() -> ModelRepository:
    from jec_assets.serving.setup import repository_of

    settings = settings_now()
    return repository_of(settings, storage_of(settings))


@contextmanager
def _faults_told() -> Iterator[None]:
    """End the command with the message of an error that is the user's or the server's."""
    from jec_assets.serving.catalog import DateError
    from jec_assets.serving.endpoint import EndpointError
    from jec_assets.serving.layout import ModelNameError
    from jec_assets.serving.reachable import UnreachableRepositoryError
    from jec_assets.serving.repository import NothingBeforeError, UnpublishedModelError, VersionInUseError
    from jec_assets.serving.rollout import NotComparableError
    from jec_assets.serving.tags import UnknownTagError
    from jec_assets.serving.transport import RequestRefusedError, ServerUnavailableError
    from jec_assets.serving.version_store import BrokenRepositoryError
    from jec_assets.storage import ArtifactMissingError

    try:
        yield
    except (
        ArtifactMissingError,
        BrokenRepositoryError,
        DateError,
        EndpointError,
        ModelNameError,
        NotComparableError,
        NothingBeforeError,
        RequestRefusedError,
        ServerUnavailableError,
        UnknownTagError,
        UnpublishedModelError,
        UnreachableRepositoryError,
        VersionInUseError,
    ) as fault:
        fail(str(fault))


@models.command("list")
def list_versions(
    family: Annotated[str | None, typer.Option(help="Of this family only.")] = None,
    since: Annotated[str | None, typer.Option(help="Published then or later: 2026-07-31, UTC.")] = None,
    max_loss: Annotated[float | None, typer.Option(help="With at most this loss of the validation jets.")] = None,
    data_digest: Annotated[str | None, typer.Option(help="Trained or chosen on data whose digest begins so.")] = None,
    tag: Annotated[str | None, typer.Option(help="With this tag.")] = None,
    json_output: AsJson = False,
) -> None:
    """Find versions; all conditions must hold."""
    from jec_assets.serving.catalog import Query, moment, search

    with _faults_told():
        query = Query(family, moment(since) if since else None, max_loss, data_digest, tag)
        found = search(_repository(), query)
    for damage in found.damaged:
        console.print(damage, style="red", highlight=False, markup=False, soft_wrap=True)
    if json_output:
        _print_json([entry.to_dict() for entry in found.entries])
        return
    table = Table("family", "version", "state", "published", "validation loss", "training data", "tags")
    for entry in found.entries:
        table.add_row(*_row(entry))
    Console().print(table)


def _row(entry: Entry) -> list[str]:
    model, card = entry.model, entry.model.card
    loss = "not on record" if entry.loss is None else f"{entry.loss:.5f}"
    data = card.data_digests.get("train", "not on record")[:DIGEST_SHOWN]
    published = model.published.replace("T", " ").removesuffix("+00:00")
    return [card.family, str(model.version), entry.state, published, loss, data, ", ".join(entry.tags)]


@models.command()
def show(family: Family, version: Version = "served", json_output: AsJson = False) -> None:
    """Show a version's model card, where it comes from, what it wants, how to call it, and how its roll-outs ended."""
    from jec_assets.serving.catalog import entry_of, version_named
    from jec_assets.serving.model_card import readme
    from jec_assets.serving.rollout_log import rollouts_of

    with _faults_told():
        repository = _repository()
        entry = entry_of(repository, family, version_named(repository, family, version))
        rollouts = rollouts_of(repository.storage, family, entry.model.version)
    if json_output:
        _print_json({**entry.to_dict(), "rollouts": [each.to_dict() for each in rollouts]})
        return
    output = Console()
    output.print(Markdown(readme(entry.model)))
    output.print(f"\nstate: {entry.state}; tags: {', '.join(entry.tags) or 'none'}", highlight=False)
    for each in rollouts:
        output.print(f"roll-out {each.at}, {each.by}: {each.summary}", highlight=False, markup=False)


@models.command()
def diff(family: Family, first: Version, second: Version, json_output: AsJson = False) -> None:
    """Show in what two versions of a family differ: hyperparameters, losses, data, settings, features."""
    from jec_assets.serving.catalog import differences, version_named

    with _faults_told():
        repository = _repository()
        one, other = (repository.model(family, version_named(repository, family, name)) for name in (first, second))
    found = differences(one, other)
    if json_output:
        _print_json({each.field: [each.first, each.second] for each in found})
        return
    table = Table("field", one.title, other.title)
    for each in found:
        table.add_row(each.field, *("-" if value is None else str(value) for value in (each.first, each.second)))
    Console().print(table)


@models.command()
def promote(family: Family, version: Version) -> None:
    """Serve a version to whoever names none; the one before stays served to who names it."""
    from jec_assets.serving import deployment
    from jec_assets.serving.catalog import version_named

    with _faults_told():
        repository = _repository()
        deployed = deployment.promote(repository, family, version_named(repository, family, version))
    _tell(deployed)


@models.command()
def rollback(family: Family) -> None:
    """Undo the last step: withdraw the version that is tried, if there is one, else serve what was served before."""
    from jec_assets.serving import deployment

    with _faults_told():
        deployed = deployment.rollback(_repository(), family)
    _tell(deployed)


@models.command("try")
def try_version(family: Family, version: Version) -> None:
    """Serve a version beside the one that is served, as FAMILY.candidate, until `promote`, `rollout` or `rollback`."""
    from jec_assets.serving import deployment
    from jec_assets.serving.catalog import version_named

    with _faults_told():
        repository = _repository()
        endpoint = _running(repository)
        model = repository.model(family, version_named(repository, family, version))
        name = deployment.try_out(endpoint, repository, model)
    console.print(f"{endpoint.url} serves {model.title} as {name}", highlight=False, soft_wrap=True)


@models.command()
def rollout(
    family: Family,
    version: Version,
    jets: Annotated[int, typer.Option(min=1, help="Validation jets that both versions answer.")] = 10_000,
    max_change: Annotated[float, typer.Option(help="Most that half of the log factors may change by.")] = 0.02,
    max_slowdown: Annotated[float, typer.Option(help="Most that a request may take, over what is served.")] = 1.5,
    json_output: AsJson = False,
) -> None:
    """Serve a version beside the one that is served, send the same jets to both, and promote it if all checks hold."""
    from jec_assets.evaluation.bootstrap import Resampling
    from jec_assets.jets.dataset import load_split
    from jec_assets.serving.catalog import version_named
    from jec_assets.serving.rollout import RolloutPolicy, first_jets
    from jec_assets.serving.rollout_log import roll_out_recorded

    settings = settings_now()
    with _faults_told():
        repository = _repository()
        endpoint = _running(repository)
        candidate = repository.model(family, version_named(repository, family, version))
        resampling = Resampling(settings.bootstrap_resamples, settings.seed)
        mirrored = first_jets(load_split(repository.storage, "validation"), jets)
        policy = RolloutPolicy(resampling, max_change, max_slowdown)
        record = roll_out_recorded(endpoint, repository, candidate, mirrored, policy, by=_user())
    result = record.result
    if json_output:
        _print_json(record.to_dict())
    else:
        table = Table("check", "holds", "found")
        for check in result.checks:
            table.add_row(check.name, "yes" if check.passed else "no", check.finding)
        Console().print(table)
    if not result.promoted:
        fail(f"{family} version {result.candidate} is withdrawn; version {result.served} stays served")
    console.print(f"{family} version {result.candidate} is served", highlight=False)


@models.command()
def tag(
    family: Family,
    version: Version,
    name: Annotated[str, typer.Argument(help="The tag; it moves here if another version has it.")],
) -> None:
    """Give a version a name; a version with a tag is never removed to make room."""
    from jec_assets.serving.catalog import version_named
    from jec_assets.serving.tags import set_tag

    with _faults_told():
        repository = _repository()
        number = version_named(repository, family, version)
        set_tag(repository.storage, family, name, number)
    console.print(f"{family} version {number} is tagged {name}", highlight=False)


@models.command()
def untag(family: Family, name: Annotated[str, typer.Argument(help="The tag.")]) -> None:
    """Take a tag away."""
    from jec_assets.serving.tags import remove_tag

    with _faults_told():
        remove_tag(_repository().storage, family, name)
    console.print(f"no version of {family} is tagged {name}", highlight=False)


@models.command()
def delete(family: Family, version: Version) -> None:
    """Delete a version that is neither served nor tried. Its number is never used again."""
    from jec_assets.serving.catalog import version_named

    with _faults_told():
        repository = _repository()
        number = version_named(repository, family, version)
        repository.remove(family, number)
    console.print(f"{family} version {number} is deleted", highlight=False)


@models.command()
def verify(families: Annotated[list[str] | None, typer.Argument(help="Families; all without any.")] = None) -> None:
    """Compare every file that a server reads with its published digest."""
    with _faults_told():
        repository = _repository()
        checked = families or [family for family in repository.families() if repository.pointer(family) is not None]
        for family in checked:
            repository.check(family)
    console.print(f"whole: {', '.join(checked) or 'nothing is published'}", highlight=False)


@models.command()
def serve(
    token_file: Annotated[
        Path | None, typer.Option(help="A file with the token; without it, JEC_REPOSITORY_TOKEN has it.")
    ] = None,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 8090,
    max_upload: Annotated[int, typer.Option(min=1, help="MB of a request.")] = 256,
) -> None:
    """Offer the repository over HTTP, on this machine only: list, show, fetch, upload, tag and delete with a token.

    Uploads are stored, not served: promote them. For other machines put a proxy with TLS before it.
    """
    try:
        import uvicorn

        from jec_assets.serving.repository_service import WeakTokenError, repository_service
    except ModuleNotFoundError as missing:
        fail(f"{missing.name} is not installed: pip install 'jec-assets[repository]'")
    try:
        token = (token_file.read_text() if token_file else os.environ.get(TOKEN_VARIABLE, "")).strip()
        service = repository_service(_repository(), token, max_upload << 20)
    except (OSError, WeakTokenError) as fault:
        fail(f"{fault} (--token-file, or the variable {TOKEN_VARIABLE})")
    uvicorn.run(service, host="127.0.0.1", port=port, log_level="warning", server_header=False)


def _user() -> str:
    """Who gives this command: a name, or a number where the machine knows none, as in containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def _running(repository: ModelRepository) -> Endpoint:
    from jec_assets.serving.deployment import running_endpoint

    endpoint = running_endpoint(repository.storage)
    if endpoint is None:
        fail("no endpoint runs: start it with `jec serve`")
    return endpoint


def _tell(deployed: Deployed) -> None:
    where = "no endpoint runs: the next one will serve it" if deployed.endpoint is None else deployed.endpoint.url
    console.print(f"{deployed.model.title} is served ({where})", highlight=False, soft_wrap=True)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=1, sort_keys=True))  # noqa: T201 - for scripts
