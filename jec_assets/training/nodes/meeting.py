"""Where the machines of a training come together.

Belongs here: torchrun's options of a rendezvous (`c10d`), and this machine's address in the others' network. Does not
belong here: what is trained. Imports no torch.

The rendezvous is a table that torchrun keeps at the first machine; ranks are dealt there, so the first process may be
on any machine. torchrun starts nothing again: where a machine is lost, all of them end, and whoever started them does
it again, to go on from the checkpoint. That is one way for every loss, where torchrun's own restarts don't survive the
loss of the machine that holds the table.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass

from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

# Seconds that a machine waits for the others: a node may have to be added to the cluster, and to pull an image.
JOINED_WITHIN = 1800
# Seconds for an answer from the table. A machine that went without a word (power, network) is noticed by it.
ANSWERED_WITHIN = 600
NAMED_EVERY = 1.0


@dataclass(frozen=True)
class Meeting:
    """Where machine `index` (from 0) of so many meets the others.

    host: name or address of the first machine, at which they meet, as all of them know it; port: free there
    name: of the training, the same for all; workers: processes on each machine
    """

    name: str
    nodes: int
    workers: int
    host: str
    port: int
    index: int

    def options(self, address: str) -> list[str]:
        """torchrun's options on this machine, which the others reach at `address`."""
        here = str(self.index == 0).lower()
        times = f"join_timeout={JOINED_WITHIN},read_timeout={ANSWERED_WITHIN}"
        return [
            f"--nnodes={self.nodes}",
            f"--nproc-per-node={self.workers}",
            "--max-restarts=0",
            "--rdzv-backend=c10d",
            f"--rdzv-endpoint={self.host}:{self.port}",
            f"--rdzv-id={self.name}",
            # A pod doesn't know the name by which the others know it.
            f"--rdzv-conf=is_host={here},{times}",
            f"--local-addr={address}",
        ]


@retry(
    retry=retry_if_exception_type(OSError),
    wait=wait_fixed(NAMED_EVERY),
    stop=stop_after_delay(JOINED_WITHIN),
    reraise=True,
)
def address_towards(host: str, port: int) -> str:
    """This machine's own address on the way to the host; waits until the host's name is known. Sends nothing."""
    family, kind, _, _, target = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind) as probe:
        probe.connect(target)
        return str(probe.getsockname()[0])
