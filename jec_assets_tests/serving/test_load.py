from __future__ import annotations

import asyncio
from dataclasses import replace
from socket import create_server

import polars as pl
import pytest

from jec_assets.jets.packed import PackedJets
from jec_assets.processes import free_ports
from jec_assets.serving import load
from jec_assets.serving.load import SCHEMA, Knee, LoadPlan, LoadPoint, Loads, measure_load
from jec_assets.serving.load_connection import LoadConnection, LoadRequest, single_jets
from jec_assets.serving.runtime import JetSession, inference_session
from jec_assets.serving.tensors import SLOT_STEP
from jec_assets_tests.serving.conftest import Served


@pytest.fixture(scope="module")
def session(pfn_onnx: bytes) -> JetSession:
    return inference_session(pfn_onnx, threads=1)


@pytest.fixture(scope="module")
def requests(session: JetSession, jets: PackedJets) -> list[LoadRequest]:
    return single_jets("pfn", jets, session, number=50, seed=3)


@pytest.mark.needs("triton")
def test_a_closed_loop_has_a_request_of_each_client(served: Served, requests: list[LoadRequest]) -> None:
    point = Loads(served.endpoint.http, requests).closed(clients=8, seconds=0.3)
    assert point.errors == point.unanswered == 0
    assert point.answered >= 8
    assert point.rate == pytest.approx(point.answered / point.seconds)
    assert point.offered is None


@pytest.mark.needs("triton")
def test_an_open_loop_comes_at_its_rate(served: Served, requests: list[LoadRequest]) -> None:
    point = Loads(served.endpoint.http, requests).open(rate=100, seconds=1.0, seed=1, connections=4)
    again = Loads(served.endpoint.http, requests).open(rate=100, seconds=1.0, seed=1, connections=4)
    # The same arrivals; 100 of them on average, 10 more or fewer as a rule.
    assert point.requests == again.requests
    assert 50 < point.requests < 150
    assert point.offered == point.requests
    assert point.errors == 0


@pytest.mark.needs("triton")
def test_wrong_answers_and_refusals_are_errors(served: Served, requests: list[LoadRequest]) -> None:
    others = [replace(request, expected=request.expected + 1) for request in requests]
    absent = [replace(request, message=request.message.replace(b"/pfn/", b"/nfp/")) for request in requests]
    for wrong in (others, absent):
        point = Loads(served.endpoint.http, wrong).closed(clients=2, seconds=0.1)
        assert point.errors == point.requests > 0


@pytest.mark.needs("triton")
def test_every_load_has_a_row(served: Served, session: JetSession, jets: PackedJets) -> None:
    lines: list[str] = []
    plan = LoadPlan(seconds=0.1, clients=(1, 4), fractions=(0.1, 0.2), distinct=20)
    table = measure_load(served.endpoint, {"pfn": session}, jets, plan, lines.append)
    assert table.schema == pl.Schema(SCHEMA)
    assert table.select("loop", "clients").rows()[:2] == [("closed", 1), ("closed", 4)]
    assert table["loop"].to_list()[2:] == ["open", "open"]
    assert table["knee"].sum() <= 1
    assert len(lines) == 4
    assert "pfn closed loop: " in lines[0]


def test_a_server_that_says_nothing_is_not_waited_for_without_end(
    requests: list[LoadRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "SILENCE", 0.2)
    with create_server(("127.0.0.1", 0)) as silent:
        point = Loads(f"127.0.0.1:{silent.getsockname()[1]}", requests).closed(clients=3, seconds=0.1)
    assert (point.answered, point.errors) == (0, 3)


def test_requests_have_few_shapes(requests: list[LoadRequest], jets: PackedJets) -> None:
    shape = f'"shape": [1, {SLOT_STEP}, {jets.particles.shape[1]}]'.encode()
    assert all(shape in request.message for request in requests)


def point(offered: float, mean: float, errors: int = 0, unanswered: int = 0) -> LoadPoint:
    return LoadPoint(10, offered, 1.0, errors, unanswered, (mean,) * (int(offered) - errors - unanswered))


def test_the_knee_is_the_last_rate_that_the_server_keeps_up_with() -> None:
    first, second, slow = point(100, 0.001), point(200, 0.004), point(300, 0.006)
    assert Knee().of([first, second, slow]) is second
    assert Knee().of([first, second]) is second
    assert Knee().of([first, slow, point(400, 0.001)]) is first
    assert Knee().of([first, point(200, 0.001, errors=5)]) is first
    assert Knee().of([first, point(200, 0.001, unanswered=5)]) is first
    assert Knee().of([first, point(200, 0.001, unanswered=2)]).offered == 200
    assert Knee().of([point(100, 0.001, errors=100)]) is None
    assert Knee().of([]) is None


def test_a_lost_connection_answers_no(requests: list[LoadRequest]) -> None:
    async def ask() -> list[bool]:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", *free_ports(1))
        host, port = server.sockets[0].getsockname()
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(LoadConnection, host, port)
        answers = [await connection.ask(requests[0]) for _ in range(2)]
        server.close()
        return answers

    assert asyncio.run(ask()) == [False, False]
