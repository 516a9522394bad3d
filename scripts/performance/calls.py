"""CPU per call over gRPC: ours and the floor's, in turns, the least of several rounds each."""

import math
import os
import tempfile

from . import cargo, rules, servers
from .cargo import say

ROUNDS = 5
KEYS = 1_000_000

# Calls of a round: two seconds of one core or so.
CALLS = 100_000

# Connections, and calls that each keeps open. Fewer calls at once share less of what a wake-up
# and a write to a socket cost.
SHAPES = [(4, 50), (4, 4), (32, 1)]

PLAIN = f"{{ requests: {rules.PLENTY}, per: hour }}"
TWO = (
    f"{{ name: hour, requests: {rules.PLENTY}, per: hour }}, "
    f"{{ name: month, requests: {rules.PLENTY}, per: month }}"
)


def measure():
    """The ratios of both kinds of answer in all shapes."""
    cargo.build()
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "rules.yaml")
        rules.write(path, 500, PLAIN)
        figures |= compare("calls", path, headers=False)
        figures["calls-mean"] = math.prod(figures.values()) ** (1 / len(figures))
        rules.write(path, 500, TWO, "headers: { style: x-ratelimit }\n")
        figures |= compare("headers", path, headers=True)
    return figures


def compare(kind, path, headers):
    """The least of each server in each shape, and their ratio."""
    with servers.tollgate(path) as ours, servers.floor(headers) as floor:
        say(f"{kind}: filling {KEYS:,} counters")
        fill = ["--keys", KEYS, "--choice", "in-turn", "--requests", KEYS, "--warm-up", "0s"]
        servers.load(ours, rules.ONE_KEY, *fill)
        least = {}
        for number in range(1, ROUNDS + 1):
            for shape in SHAPES:
                for server in (ours, floor):
                    spent = per_call_us(server, shape)
                    at = (shape, server.name)
                    least[at] = min(spent, least.get(at, math.inf))
                    connections, in_flight = shape
                    say(
                        f"{kind}: round {number} of {ROUNDS}, {connections} x {in_flight}: "
                        f"{server.name} {spent:.2f} µs a call"
                    )
        return {
            f"{kind}-{shape[0]}x{shape[1]}": least[shape, ours.name] / least[shape, floor.name]
            for shape in SHAPES
        }


def per_call_us(server, shape):
    """CPU of the whole process over one round, in µs a call."""
    connections, in_flight = shape
    how = ["--connections", connections, "--in-flight", in_flight, "--keys", KEYS]
    before = server.cpu_ns()
    report = servers.load(server, rules.ONE_KEY, *how, "--requests", CALLS, "--warm-up", "0s")
    return (server.cpu_ns() - before) / 1e3 / report["answered"]
