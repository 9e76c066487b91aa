"""How many requests a second Triton answers 100 clients, each with one jet at a time.

`python -m benchmarks.requests_per_second`: the published PFN, one thread, over HTTP, in several rounds. The clients are
connections of one process that ask again as soon as they are answered (`jec_assets.serving.load`); every answer is
compared with what ONNX Runtime computes in this process, and the claim fails on the first that is wrong or missing. It
is the median over rounds of right answers per second; client and server share the machine's cores.
"""

from __future__ import annotations

import statistics

from benchmarks.served import served_networks

FAMILY = "pfn"
CLIENTS, ROUNDS, SECONDS, DISTINCT = 100, 7, 3.0, 512


def main() -> None:
    """Print a line per round and, last, `requests_per_second RATE`."""
    from jec_assets.serving.load import Loads
    from jec_assets.serving.load_connection import single_jets

    with served_networks([FAMILY]) as served:
        requests = single_jets(FAMILY, served.jets, served.sessions[FAMILY], DISTINCT, seed=1)
        loads = Loads(served.endpoint.http, requests)
        loads.closed(CLIENTS, 1.0)  # the first second pays for what later ones find ready
        rates = []
        for number in range(ROUNDS):
            point = loads.closed(CLIENTS, SECONDS)
            assert point.errors == 0, f"{point.errors} of {point.requests} requests were not answered rightly"
            rates.append(point.rate)
            print(f"  round {number}: {point.rate:,.0f} answers per second, mean {1e3 * point.mean:.1f} ms", flush=True)
        print(f"requests_per_second {statistics.median(rates):.0f}")


if __name__ == "__main__":
    main()
