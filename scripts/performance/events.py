"""Latency while something goes on beside the calls: a sweep of ten million counters, a reload.

An open loop at 70 % of what the server can take, for ten seconds around each event; beside it the
floor at the same rate, or at 70 % of what the floor can take if that is less.
"""

import os
import tempfile
import time

from . import cargo, rules, servers
from .cargo import Failed, say

COUNTERS = 10_000_000

# Counters that one call of the filling makes.
PER_CALL = 20

RULES = 10_000
SHARE = 0.7
AROUND_S = 10

# How long before the event measuring begins.
AHEAD_S = 2

# How long the load runs before that.
WARM_UP_S = 1

# Filling, and finding out what the servers can take, must be over before the counters expire.
READY_S = 100

# More than any server takes on one core: what is answered is what it can take.
FLOOD = 1_000_000
FLOOD_S = 4


def measure():
    """The ratios of p99.9 to the floor's."""
    cargo.build()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "rules.yaml")
        window_s, ends_at = window(time.time())
        rules.write(path, RULES, f"{{ requests: {rules.PLENTY}, per: {window_s}s }}")
        with servers.tollgate(path) as ours, servers.floor() as floor:
            fill(ours)
            our_rate, floor_rate = rates(ours, floor)
            before = around(floor, floor_rate).report()
            sweep = swept(ours, our_rate, ends_at)
            between = around(floor, floor_rate).report()
            reload = reloaded(ours, our_rate)
            after = around(floor, floor_rate).report()
    floors = [p999(report) for report in (before, between, after)]
    say(f"events: the floor's p99.9 {', '.join(f'{us:.0f}' for us in floors)} µs")
    say(f"events: p99.9 {p999(sweep):.0f} µs during the sweep, {p999(reload):.0f} at the reload")
    # Each event against the two of the floor's runs that it lies between.
    return {
        "sweep-p99.9": p999(sweep) / ((floors[0] + floors[1]) / 2),
        "reload-p99.9": p999(reload) / ((floors[1] + floors[2]) / 2),
    }


def window(now):
    """The length of a window that ends soonest after all is ready, and when it does.

    Windows are aligned to the epoch, so this saves waiting for one to begin.
    """
    ends = [((now // length + 1) * length, length) for length in range(READY_S, 4 * READY_S)]
    ends_at, length = min(end for end in ends if now + READY_S <= end[0])
    return length, ends_at


def fill(server):
    say(f"events: filling {COUNTERS:,} counters")
    calls = COUNTERS // PER_CALL
    how = ["--keys", COUNTERS, "--choice", "in-turn", "--requests", calls, "--warm-up", "0s"]
    servers.load(server, *[rules.OTHER_KEY] * PER_CALL, *how)


def rates(ours, floor):
    """What each is loaded with, in calls a second."""
    able = {}
    for server in (ours, floor):
        report = servers.load(
            server, rules.ONE_KEY, "--keys", COUNTERS, "--rate", FLOOD, "--duration", f"{FLOOD_S}s"
        )
        able[server.name] = report["per_second"]
        say(f"events: {server.name} takes {report['per_second']:.0f} calls a second")
    our_rate = SHARE * able[ours.name]
    return our_rate, min(our_rate, SHARE * able[floor.name])


def around(server, rate):
    """Starts ten seconds of load."""
    say(f"events: {server.name} at {rate:.0f} calls a second for {AROUND_S} s")
    how = ["--keys", COUNTERS, "--rate", f"{rate:.0f}", "--duration", f"{AROUND_S}s"]
    return servers.Load(server, rules.ONE_KEY, *how, "--warm-up", f"{WARM_UP_S}s")


def swept(server, rate, ends_at):
    """Load around the moment at which all counters expire."""
    wait_s = ends_at - AHEAD_S - WARM_UP_S - time.time()
    if wait_s < 0:
        raise Failed("filling took so long that the counters expired before all was ready")
    say(f"events: {wait_s:.0f} s until the counters expire")
    time.sleep(wait_s)
    return around(server, rate).report()


def reloaded(server, rate):
    """Load around a SIGHUP."""
    running = around(server, rate)
    time.sleep(AHEAD_S + WARM_UP_S)
    server.hang_up()
    report = running.report()
    if not server.lines_with("reloaded"):
        raise Failed("the rules were not reloaded within the ten seconds")
    return report


def p999(report):
    return report["latency_us"]["p99.9"]
