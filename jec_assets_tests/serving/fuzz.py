"""Damaged requests, thousands of them, to a real Triton: is each refused, and is the server as it was before?

    python -m jec_assets_tests.serving.fuzz --requests 10000 --seed 1

prints what was sent, what came back, and what the server's memory, files and processes did meanwhile. With `--gate`
all that goes over HTTP goes through `jec gate`, whose process is looked at too, and so do requests that end a Triton.
"""

from __future__ import annotations

import argparse
import http.client
import socket
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

from jec_assets.processes import SHARED_MEMORY
from jec_assets.serving.client import JetClient
from jec_assets.serving.endpoint import Endpoint
from jec_assets.serving.tensors import PaddedJets
from jec_assets_tests.serving.damage import Damaged, as_binary, as_json, broken_body, changed_bytes, damaged, good
from jec_assets_tests.serving.gates import RunningGate, running_gate

GOOD_EVERY = 50
# What Triton can't parse it names by its field in JSON.
JSON_FIELDS = ("'data'", "'shape'", "'name'", "'datatype'", "JSON bytes array")
SECONDS = 30.0
# Buffers and allocators fill for thousands of requests: what counts is the last third of them. Seen of 10,000 requests:
# 3 to 10 kB for each of that third; of 300: 1 to 12 MB, in one step, for the largest of them (4 MB), by seed.
MAX_GROWTH = 12 << 10  # bytes per request
LARGEST = 16 << 20  # bytes


@dataclass(frozen=True)
class Footprint:
    """What servers take: bytes of memory in all their processes, open files, regions of shared memory of the first."""

    memory: int
    files: int
    regions: int
    processes: tuple[int, ...]

    @classmethod
    def of(cls, *pids: int) -> Footprint:
        """What they take now."""
        servers = [psutil.Process(pid) for pid in pids]
        family = [member for server in servers for member in (server, *server.children(recursive=True))]
        alive = [process for process in family if process.status() != psutil.STATUS_ZOMBIE]
        mapped = {
            Path(region.path).name for region in alive[0].memory_maps() if region.path.startswith(str(SHARED_MEMORY))
        }
        return cls(
            sum(process.memory_info().rss for process in alive),
            sum(process.num_fds() for process in alive),
            len(mapped),
            tuple(sorted(process.pid for process in alive)),
        )


@dataclass
class Outcome:
    """What came of it: requests by protocol and status, complaints, what the server took after each third.

    in_last_third: how many requests that has.
    """

    statuses: Counter[str] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)
    footprints: list[Footprint] = field(default_factory=list)
    in_last_third: int = 0

    def check(self) -> None:
        """AssertionError with what is wrong."""
        assert not self.complaints, "\n".join(self.complaints[:20])
        first, last = self.footprints[-2:]
        assert last.processes == first.processes, "a process died"
        assert last.regions == first.regions, f"{first.regions} regions of shared memory became {last.regions}"
        assert last.files <= first.files + 8, f"{first.files} open files became {last.files}"
        allowed = LARGEST + MAX_GROWTH * self.in_last_third
        assert last.memory <= first.memory + allowed, f"{first.memory} bytes of memory became {last.memory}"


class Fuzzer:
    """Sends damaged requests to a model, and good ones between them; where there is a gate, through it over HTTP."""

    def __init__(
        self, endpoint: Endpoint, family: str, batch: PaddedJets, seed: int, gate: RunningGate | None = None
    ) -> None:
        assert endpoint.pid is not None
        self._family, self._batch, self._gate = family, batch, gate
        self._grpc_address, self._http_address = endpoint.grpc, endpoint.http if gate is None else gate.address
        self._pids = [endpoint.pid] if gate is None else [endpoint.pid, gate.process.pid]
        self._random = np.random.default_rng(seed)
        self._outcome = Outcome()

    def run(self, requests: int) -> Outcome:
        """Send so many damaged requests."""
        before = self._good_answers()
        for number in range(requests):
            [self._json, self._binary, self._grpc, self._broken, self._chunked, self._message][number % 6]()
            if number % GOOD_EVERY == 0 and self._good_answers() != before:
                self._outcome.complaints.append(f"after {number} requests the good one is answered otherwise")
            if number in (requests // 3, 2 * requests // 3):
                self._outcome.footprints.append(Footprint.of(*self._pids))
        if self._good_answers() != before:
            self._outcome.complaints.append("after all requests the good one is answered otherwise")
        self._outcome.footprints.append(Footprint.of(*self._pids))
        self._outcome.in_last_third = requests - 2 * requests // 3
        return self._outcome

    def _good_answers(self) -> list[bytes]:
        answers = []
        for address, protocol in ((self._http_address, "http"), (self._grpc_address, "grpc")):
            with JetClient(address, protocol) as client:  # type: ignore[arg-type]
                answers.append(client.answer(self._family, self._batch).tobytes())
        return answers

    def _json(self) -> None:
        request = damaged(self._batch, self._random)
        if self._gate is not None or not request.fatal_as_json:
            self._judge("JSON", request, *self._post(as_json(request), request.headers))

    def _binary(self) -> None:
        request = damaged(self._batch, self._random)
        body, headers = as_binary(request)
        self._judge("binary", request, *self._post(body, headers))

    def _broken(self) -> None:
        body, headers = as_binary(good(self._batch))
        broken, others = broken_body(body, self._random)
        status, _ = self._post(broken, {**headers, **others})
        self._outcome.statuses[f"broken {status}"] += 1

    def _chunked(self) -> None:
        """A body in many small chunks, sometimes cut off, as raw bytes."""
        body, headers = as_binary(good(self._batch))
        size = int(self._random.integers(1, 64))
        chunks = [
            b"%x\r\n%s\r\n" % (len(part), part) for part in (body[at : at + size] for at in range(0, len(body), size))
        ]
        cut = len(chunks) if self._random.random() < 0.5 else int(self._random.integers(len(chunks)))
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        start = f"POST {self._path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n{lines}\r\n".encode()
        host, _, port = self._http_address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=SECONDS) as connection:
            connection.sendall(start + b"".join(chunks[:cut]))
            if cut < len(chunks):
                self._outcome.statuses["chunks cut off"] += 1
                return
            connection.sendall(b"0\r\n\r\n")
            status = connection.recv(1 << 16).split(b" ", 2)[1].decode()
            self._outcome.statuses[f"chunks {status}"] += 1

    def _grpc(self) -> None:
        from tritonclient.grpc import service_pb2

        request = damaged(self._batch, self._random)
        message = service_pb2.ModelInferRequest(model_name=self._family, raw_input_contents=request.tensors)
        for tensor in request.header["inputs"]:
            try:
                message.inputs.add(name=tensor["name"], datatype=tensor["datatype"], shape=tensor["shape"])
            except ValueError:  # a shape that no protobuf can hold
                return
            for name, value in tensor.get("parameters", {}).items():
                kind = "string_param" if isinstance(value, str) else "int64_param"
                setattr(message.inputs[-1].parameters[name], kind, value)
        self._judge("gRPC", request, *self._call(message.SerializeToString()))

    def _message(self) -> None:
        """Bytes that are no message, or another one than they were."""
        from tritonclient.grpc import service_pb2

        request = good(self._batch)
        message = service_pb2.ModelInferRequest(model_name=self._family, raw_input_contents=request.tensors)
        for tensor in request.header["inputs"]:
            message.inputs.add(**tensor)
        status, _ = self._call(changed_bytes(message.SerializeToString(), self._random))
        self._outcome.statuses[f"message {status}"] += 1

    def _judge(self, kind: str, request: Damaged, status: str, said: str) -> None:
        self._outcome.statuses[f"{kind} {status}"] += 1
        if status in {"200", "OK"}:
            if request.refused:
                self._outcome.complaints.append(
                    f"{kind}: answered {request.header} though it should name one of {request.names}"
                )
        elif request.names and not any(name in said for name in (*request.names, *JSON_FIELDS)):
            self._outcome.complaints.append(f"{kind}: {status} {said!r} names none of {request.names}")

    @property
    def _path(self) -> str:
        return f"/v2/models/{self._family}/infer"

    def _post(self, body: bytes, headers: dict[str, str]) -> tuple[str, str]:
        connection = http.client.HTTPConnection(self._http_address, timeout=SECONDS)
        try:
            connection.request("POST", self._path, body, headers)
            response = connection.getresponse()
            return str(response.status), response.read().decode(errors="replace")
        finally:
            connection.close()

    def _call(self, message: bytes) -> tuple[str, str]:
        import grpc

        with grpc.insecure_channel(self._grpc_address) as channel:
            try:
                channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")(message, timeout=SECONDS)
            except grpc.RpcError as error:
                return error.code().name, error.details() or ""
        return "OK", ""


def main() -> None:
    """Fuzz a server of its own and say what came of it."""
    from jec_assets.serving.export import export_onnx
    from jec_assets_tests.serving.conftest import make_jets, serving, small_network

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--family", default="particle_transformer")
    parser.add_argument("--gate", action="store_true", help="through `jec gate`")
    options = parser.parse_args()
    onnx = export_onnx(small_network(options.family, seed=1))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        served = stack.enter_context(serving(folder, options.family, onnx))
        gate = stack.enter_context(running_gate(served.endpoint.http, folder / "log")) if options.gate else None
        batch = PaddedJets.of(make_jets(3, seed=1))
        outcome = Fuzzer(served.endpoint, options.family, batch, options.seed, gate).run(options.requests)
        if gate is not None:
            sys.stdout.write((folder / "log").read_text())
    lines = [f"{count:7,}  {status}" for status, count in sorted(outcome.statuses.items())]
    lines += [
        f"{each.memory / 1e6:.1f} MB, {each.files} files, {each.regions} shared regions, {each.processes}"
        for each in outcome.footprints
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    outcome.check()
    sys.stdout.write(f"{options.requests:,} requests: nothing died or leaked, the good request was answered alike\n")


if __name__ == "__main__":
    main()
