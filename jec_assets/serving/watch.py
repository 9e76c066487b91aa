"""Keeps this machine's Triton alive: a dead server is started again, a model that lost a process is loaded again.

Belongs here: looking, and mending what is found. Does not belong here: the server's own life (`triton.py`) and what
runs for a model (`instances.py`).

The watcher is a process of its own beside the server, outlives whoever starts both, and ends when the server is
stopped. What it finds and does stands in `<work folder>/triton/watch.log`. A server that is started again listens where
the one before did, so that clients only wait. Other models are served on while one is loaded again.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from jec_assets.processes import spawn
from jec_assets.serving.endpoint import EndpointError, load_again, ready
from jec_assets.serving.instances import models_without_a_process, served_versions
from jec_assets.serving.reachable import UnreachableRepositoryError
from jec_assets.serving.triton import WATCHER, LocalTriton, TritonStartError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jec_assets.serving.endpoint import Endpoint
    from jec_assets.serving.triton import ServerState

PAUSE = 1.0  # seconds between two looks
HANGS_AFTER = 3  # looks in a row without an answer, each of a few seconds
LONGEST_PAUSE = 60.0  # seconds between two attempts to mend what can't be mended now
_LOGGER = logging.getLogger(WATCHER)


def serve_watched(triton: LocalTriton, repository: str, models: Sequence[str]) -> Endpoint:
    """A ready server, see `LocalTriton.start_or_reuse`, and a process that keeps it alive until it is stopped."""
    endpoint = triton.start_or_reuse(repository, models)
    with triton.locked():
        if not triton.watchers():
            arguments = [sys.executable, "-P", "-m", WATCHER, str(triton.folder.parent)]
            spawn(arguments, os.environ, triton.folder / "watch.log")
    return endpoint


class Watcher:
    """Looks at a server again and again."""

    def __init__(self, triton: LocalTriton) -> None:
        self._triton = triton
        self._models: frozenset[str] = frozenset()
        self._broken: set[str] = set()
        self._unanswered = 0

    def watch(self) -> None:
        """Look and mend until the server is stopped."""
        pause = PAUSE
        while (state := self._triton.state()) is not None:
            try:
                self.look(state)
                pause = PAUSE
            except (EndpointError, TritonStartError, UnreachableRepositoryError) as error:
                _LOGGER.error("%s; tried again in %.0f s", error, pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            time.sleep(pause)
        _LOGGER.info("the server was stopped")

    def look(self, state: ServerState) -> None:
        """Mend what is broken now; raises what can't be mended."""
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
        self._models = frozenset(model for model, _ in served_versions(state.endpoint))
        died = models_without_a_process(state.endpoint, process)
        for model in sorted(died):
            _LOGGER.warning("a process of %s died: the model is loaded again", model)
        self._broken |= died
        for model in sorted(self._broken):
            load_again(state.endpoint, model)
            self._broken.remove(model)
            _LOGGER.info("%s is served again", model)

    def _start_again(self, state: ServerState, what: str) -> None:
        with self._triton.locked():
            if self._triton.state() != state:  # somebody else was quicker, or stopped it
                return
            _LOGGER.warning("the server (process %d) %s: it is started again", state.pid, what)
            _LOGGER.warning("it said last:\n%s", self._triton.last_words())
            endpoint = self._triton.restart(state, sorted(self._models))
        self._unanswered = 0
        self._broken = set(self._models - {model for model, _ in served_versions(endpoint)})
        _LOGGER.info("%s serves again", endpoint.url)


def main() -> None:
    """Watch the Triton of the work folder that the command line names."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    Watcher(LocalTriton(Path(sys.argv[1]))).watch()


if __name__ == "__main__":
    main()
