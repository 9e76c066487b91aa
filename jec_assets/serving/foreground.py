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
    folder = work_folder.absolute() / "triton_in_foreground"
    shared_memory = f"jec_triton_{digest_bytes(str(folder).encode())[:12]}_"
    remove_shared_memory(shared_memory)  # of a server that was killed
    assemble_backends(installation, folder)
    command = prepared(installation.server, folder, [*own_options(folder, shared_memory, host), *options])
    os.execve(command[0], command, installation.environment)  # noqa: S606 - the shell replaces itself by Triton
