"""Commands about served models: `jec serve`, `jec triton`, `jec gate`, `jec calibrate`.

Belongs here: starting the server and using what it serves. Does not belong here: versions of models (`models.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jec_assets.cli.app import app, console, fail, settings_now, storage_of


@app.command()
def serve() -> None:
    """Start (or find) this machine's Triton, have it load every model that is published, and keep it alive."""
    from jec_assets.serving.command_line import Ports
    from jec_assets.serving.deployment import load_served
    from jec_assets.serving.endpoint import EndpointError
    from jec_assets.serving.installation import TritonMissingError
    from jec_assets.serving.reachable import UnreachableRepositoryError
    from jec_assets.serving.served import publish_endpoint
    from jec_assets.serving.setup import repository_of
    from jec_assets.serving.triton import LocalTriton, TritonStartError
    from jec_assets.serving.watch import serve_watched

    settings = settings_now()
    repository = repository_of(settings, storage_of(settings))
    families = [family for family in repository.families() if repository.configuration(family) is not None]
    if not families:
        fail("no model is published yet: run `make demo` or materialize onnx_repository")
    try:
        triton = LocalTriton(settings.work_folder, Ports.from_first(settings.endpoint_port))
        endpoint = serve_watched(triton, repository.uri, ())
        publish_endpoint(repository.storage, endpoint)
        models = load_served(endpoint, repository, families)
    except (EndpointError, TritonStartError, TritonMissingError, UnreachableRepositoryError) as fault:
        fail(str(fault))
    for model in models:
        console.print(model.title, highlight=False)
    print(endpoint.url)  # noqa: T201 - the one thing that scripts read


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def triton(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 in a Pod.")] = "127.0.0.1",
) -> None:
    """Become this machine's Triton, with Triton's own options: what a Pod runs where NVIDIA's image is not at hand."""
    from jec_assets.serving.foreground import become_triton
    from jec_assets.serving.installation import TritonMissingError

    try:
        become_triton(settings_now().work_folder, host, context.args)
    except TritonMissingError as fault:
        fail(str(fault))


@app.command()
def gate(
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port on 127.0.0.1.")] = 8010,
    triton: Annotated[str, typer.Option(help="host:port of the Triton behind it, HTTP.")] = "127.0.0.1:8000",
) -> None:
    """Stand before Triton's HTTP, on this machine only, and let those requests through that can't end it.

    Reads what a request for inference claims, refuses what no honest one does, and passes on the rest; nothing else
    passes. It runs until Ctrl-C or SIGTERM. For people on other machines: deployments/proxy/README.md.
    """
    import asyncio

    from jec_assets.serving.gate import run_gate
    from jec_assets.serving.transport import AddressError, checked

    def opened() -> None:
        console.print(f"http://127.0.0.1:{port} passes inference on to {triton}", highlight=False, soft_wrap=True)

    try:
        asyncio.run(run_gate(checked(triton), port, opened))
    except (AddressError, OSError) as fault:
        fail(str(fault))


@app.command()
def calibrate(
    source: Annotated[str, typer.Argument(metavar="IN.root", help="A JetNTuple file, simulation or data, or its URL.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The calibrated copy; whole or not there at all.")],
    family: Annotated[str, typer.Option(help="Which model calibrates.")] = "pfn_committee",
    url: Annotated[str, typer.Option(help="host:port of a server, HTTP; without it, the one that is recorded.")] = "",
    token_file: Annotated[
        Path | None, typer.Option(help="Holds the token of the proxy that the server is behind; then TLS is used.")
    ] = None,
    certificates: Annotated[
        Path | None, typer.Option(help="PEM file of who vouches for that proxy; without it, whom this machine trusts.")
    ] = None,
    local: Annotated[bool, typer.Option("--local", help="Without a server: the published model, here.")] = False,
    correction: Annotated[
        Path | None, typer.Option(help="correctionlib file (L1L2L3) for jets that come without a standard correction.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the output if it is there already.")] = False,
) -> None:
    """Copy every jet of a file with its calibrated pT and mass, resolution, and whether the training had such jets."""
    from jec_assets.correction import CorrectionError, CorrectionFile
    from jec_assets.progress import StageBars
    from jec_assets.serving.access import Access, AccessError
    from jec_assets.serving.calibrated_file import FAULTS, RESIDUAL, calibrate_file
    from jec_assets.serving.calibrator import Calibrator
    from jec_assets.serving.repository import ModelRepository
    from jec_assets.serving.served import load_endpoint

    if url and local:
        fail("--url and --local exclude each other: a server calibrates, or this process")
    behind_a_proxy = token_file is not None or certificates is not None
    if behind_a_proxy and not url:
        fail("--token-file and --certificates are for a server behind a proxy: name it by --url")
    try:
        access = Access.by_files(token_file, certificates) if behind_a_proxy else None
        standard = CorrectionFile.read(correction) if correction else None
        if local:
            calibrator = Calibrator.local(ModelRepository(storage_of(settings_now())), family)
        else:
            address = url or load_endpoint(storage_of(settings_now())).http
            calibrator = Calibrator(address, family, access=access)
        with calibrator, StageBars(console) as bars:
            done = calibrate_file(
                source, out, calibrator, lambda now, total: bars.update(now, total, "jets"), force, standard
            )
    except (*FAULTS, CorrectionError, AccessError) as fault:
        fail(str(fault))
    for line in (f"{done.jets:,} jets calibrated by {calibrator.model.title}: {out}", *done.remarks, RESIDUAL):
        console.print(line, soft_wrap=True, highlight=False, markup=False)
