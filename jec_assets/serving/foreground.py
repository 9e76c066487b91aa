"""This installation's Triton in the foreground, for whoever watches processes himself: a Pod, systemd.

Belongs here: becoming the server. Does not belong here: the one that outlives who starts it (`triton.py`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NoReturn

from jec_assets.processes import remove_shared_memory
from jec_assets.serving.command_line import own_options, prepared
from jec_assets.serving.installation import assemble_backends, find_triton
from jec_assets.storage import digest_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def become_triton(work_folder: Path, host: str, options: Sequence[str]) -> NoReturn:
    """Replace this process by Triton, which listens on `host` and computes with this installation's backends.

    options: Triton's own. One server at a time in a work folder. TritonMissingError where there is none.
    """
    installation = find_triton()
    backends, shared_memory = work_folder.absolute() / "triton_in_foreground", shared_memory_of(work_folder)
    remove_shared_memory(shared_memory)  # of a server that was killed
    assemble_backends(installation, backends)
    command = prepared(installation.server, backends, [*own_options(backends, shared_memory, host), *options])
    os.execve(command[0], command, installation.environment)  # noqa: S606 - the shell replaces itself by Triton


def shared_memory_of(work_folder: Path) -> str:
    """Prefix of the names of what a server of this work folder leaves in shared memory if it is killed."""
    return f"jec_triton_{digest_bytes(f'{work_folder.absolute()} in foreground'.encode())[:12]}_"
