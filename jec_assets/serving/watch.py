"""Keeps this machine's Triton alive: a dead server is started again, a model that lost a process is loaded again.

Belongs here: looking, and mending what is found. Does not belong here: the server's own life (`triton.py`) and what
runs for a model (`instances.py`).

The watcher is a process of its own beside the server, outlives whoever starts both, and ends when the server is
stopped. What it finds and does stands in `<work folder>/triton/watch.log`. A server that is started again listens where
the one before did, so that clients only wait. Other models are served on while one is loaded again, and looked after
while one can't be.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from jec_assets.processes import spawn
from jec_assets.serving.endpoint import EndpointError, load_again, ready
from jec_assets.serving.installation import TritonMissingError
from jec_assets.serving.instances import models_without_a_process, served_versions
from jec_assets.serving.reachable import UnreachableRepositoryError
from jec_assets.serving.repository import is_configured
from jec_assets.serving.shared_memory import give_back_of_the_dead
from jec_assets.serving.triton import WATCHER, LocalTriton, TritonStartError
from jec_assets.storage import StorageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jec_assets.serving.endpoint import Endpoint
    from jec_assets.serving.triton import ServerState

PAUSE = 1.0  # seconds between two looks
HANGS_AFTER = 3  # looks in a row without an answer, each of a few seconds
LONGEST_PAUSE = 60.0  # seconds between two attempts to mend what can't be mended now
# What may pass: a server or a disk that doesn't answer, an installation that is being renewed. All else is a bug.
FAULTS = (EndpointError, StorageError, TritonMissingError, TritonStartError, UnreachableRepositoryError)
# So may these, a process that ends while it is looked at or a full disk; what they mean only their traceback says.
SYSTEM_FAULTS = (OSError, psutil.Error)
_LOGGER = logging.getLogger(WATCHER)


def serve_watched(triton: LocalTriton, repository: str, models: Sequence[str]) -> Endpoint:
    """A ready server, see `LocalTriton.start_or_reuse`, and a process that keeps it alive until it is stopped."""
    endpoint = triton.start_or_reuse(repository, models)
    with triton.locked():
        if not triton.watchers():
            arguments = [sys.executable, "-P", "-m", WATCHER, str(triton.folder.parent)]
            spawn(arguments, os.environ, triton.folder / "watch.log")
    return endpoint


@dataclass
class Attempts:
    """At loading a model again. pause: seconds from a failure to the next; due: when that is, monotonic."""

    pause: float = PAUSE
    due: float = 0.0

    def postpone(self) -> float:
        """Wait longer each time; how long."""
        waiting, self.due = self.pause, time.monotonic() + self.pause
        self.pause = min(2 * self.pause, LONGEST_PAUSE)
        return waiting


class Watcher:
    """Looks at a server again and again."""

    def __init__(self, triton: LocalTriton) -> None:
        self._triton = triton
        self._models: frozenset[str] = frozenset()
        self._broken: dict[str, Attempts] = {}
        self._unanswered = 0

    def watch(self) -> None:
        """Look and mend until the server is stopped; what is neither of FAULTS nor of SYSTEM_FAULTS is raised."""
        looks = Attempts()
        while True:
            try:
                state = self._triton.state()
                if state is None:
                    break
                self.look(state)
                looks, waiting = Attempts(), PAUSE
            except (*FAULTS, *SYSTEM_FAULTS) as error:
                waiting = looks.postpone()
                _LOGGER.error("%s; tried again in %.0f s", error, waiting, exc_info=isinstance(error, SYSTEM_FAULTS))
            time.sleep(waiting)
        _LOGGER.info("the server was stopped")

    def look(self, state: ServerState) -> None:
        """Mend what is broken now, each model for itself; raises what keeps it from that."""
        process = state.process()
        if process is None:
            self._start_again(state, "died")
            return
        if not ready(state.endpoint):
            self._unanswered += 1
            if self._unanswered >= HANGS_AFTER:
                self._start_again(state, "doesn't answer")
            return
        self._unanswered = 0
        self._mend(state, process)
        for name in give_back_of_the_dead(state.endpoint):
            _LOGGER.info("%s was shared with a client that ended: its memory is free", name)

    def _mend(self, state: ServerState, process: psutil.Process) -> None:
        self._models = frozenset(model for model, _ in served_versions(state.endpoint))
        died = models_without_a_process(state.endpoint, process)
        for model in sorted(died):
            _LOGGER.warning("a process of %s died: the model is loaded again", model)
            self._broken.setdefault(model, Attempts())
        for model in self._models - died:  # a promotion has loaded it meanwhile
            self._broken.pop(model, None)
        for model, attempts in sorted(self._broken.items()):
            if attempts.due <= time.monotonic():
                self._load_again(state, model, attempts)

    def _load_again(self, state: ServerState, model: str, attempts: Attempts) -> None:
        try:
            load_again(state.endpoint, model)
        except EndpointError as error:
            waiting = attempts.postpone()
            if is_configured(state.repository, model):
                _LOGGER.error("%s; tried again in %.0f s", error, waiting)
                return
            _LOGGER.warning("%s is withdrawn: it isn't loaded again", model)
        else:
            _LOGGER.info("%s is served again", model)
        del self._broken[model]

    def _start_again(self, state: ServerState, what: str) -> None:
        with self._triton.locked():
            if self._triton.state() != state:  # somebody else was quicker, or stopped it
                return
            _LOGGER.warning("the server (process %d) %s: it is started again", state.pid, what)
            _LOGGER.warning("it said last:\n%s", self._triton.last_words())
            endpoint = self._triton.restart(state, sorted(self._models))
        self._unanswered = 0
        lost = (self._models | self._broken.keys()) - {model for model, _ in served_versions(endpoint)}
        self._broken = {model: Attempts() for model in lost}
        _LOGGER.info("%s serves again", endpoint.url)


def main() -> None:
    """Watch the Triton of the work folder that the command line names."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    Watcher(LocalTriton(Path(sys.argv[1]))).watch()


if __name__ == "__main__":
    main()
