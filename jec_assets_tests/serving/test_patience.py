from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from socket import create_server

import pytest

from jec_assets.jets.packed import PackedJets
from jec_assets.serving.client import JetClient
from jec_assets.serving.patience import Patience
from jec_assets.serving.tensors import PaddedJets
from jec_assets.serving.transport import (
    PROTOCOLS,
    DeadlineError,
    Protocol,
    RequestRefusedError,
    ServerUnavailableError,
)


def attempts(patience: Patience, error: Exception) -> int:
    """How often a request that always ends like this is made."""
    made = 0
    deadline = patience.deadline()

    def ask(seconds: float) -> None:
        nonlocal made
        assert seconds > 0
        made += 1
        raise error

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("tenacity.nap.time.sleep", lambda _: None)
        with pytest.raises(type(error)):
            deadline.kept(ask)
    return made


def test_only_what_may_pass_is_asked_again() -> None:
    assert attempts(Patience(), ServerUnavailableError()) == 5
    assert attempts(Patience(attempts=2), ServerUnavailableError()) == 2
    assert attempts(Patience(), RequestRefusedError()) == 1
    assert attempts(Patience(), DeadlineError()) == 1


def test_no_attempt_begins_after_the_calls_end() -> None:
    # The first pause takes 0.1 s at least.
    assert attempts(Patience(call=0.05), ServerUnavailableError()) == 1
    assert attempts(Patience(call=60.0), ServerUnavailableError()) == 5


def test_what_comes_at_last_is_the_answer() -> None:
    faults = [ServerUnavailableError(), ServerUnavailableError()]

    def ask(_: float) -> str:
        if faults:
            raise faults.pop()
        return "an answer"

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("tenacity.nap.time.sleep", lambda _: None)
        assert Patience().deadline().kept(ask) == "an answer"


def test_a_request_may_take_what_is_left_of_the_call() -> None:
    assert Patience(request=3).deadline().seconds() == 3
    assert 0 < Patience(request=3, call=2).deadline().seconds() <= 2
    with pytest.raises(DeadlineError, match="not answered within 0 s"):
        Patience(call=0).deadline().seconds()


@contextmanager
def silent_server() -> Iterator[str]:
    """Takes connections and says nothing."""
    with create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("patience", [Patience(request=0.2), Patience(call=0.2)])
def test_a_server_that_says_nothing_is_given_up(protocol: Protocol, patience: Patience, jets: PackedJets) -> None:
    with (
        silent_server() as address,
        JetClient(address, protocol, patience) as client,
        pytest.raises((DeadlineError, ServerUnavailableError), match=address),
    ):
        client.answer("pfn", PaddedJets.of(jets.slice(0, 2)))
