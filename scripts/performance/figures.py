"""The figures, their bars, and the table that sets one beside the other."""

import dataclasses
import operator

AT_MOST = ("≤", operator.le)
AT_LEAST = ("≥", operator.ge)


@dataclasses.dataclass(frozen=True)
class Bar:
    """What a figure is held to."""

    part: str
    name: str
    what: str
    bar: float
    unit: str
    sense: tuple = AT_MOST

    def is_met(self, value):
        return self.sense[1](value, self.bar)

    def shown(self):
        return f"{self.sense[0]} {self.bar:g}{self.unit}"


FLOOR = " × floor"
UPDATES = " updates"

BARS = [
    Bar("calls", "calls-4x50", "CPU per call, 4 connections × 50 in flight", 0.90, FLOOR),
    Bar("calls", "calls-4x4", "CPU per call, 4 × 4", 0.90, FLOOR),
    Bar("calls", "calls-32x1", "CPU per call, 32 × 1", 0.90, FLOOR),
    Bar("calls", "calls-mean", "the three, geometric mean (goal)", 0.75, FLOOR),
    Bar("calls", "headers-4x50", "two limits and three headers, 4 × 50", 1.00, FLOOR),
    Bar("calls", "headers-4x4", "two limits and three headers, 4 × 4", 1.00, FLOOR),
    Bar("calls", "headers-32x1", "two limits and three headers, 32 × 1", 1.00, FLOOR),
    Bar("in-process", "decision-1m", "match and count, 1 M keys", 4.5, UPDATES),
    Bar("in-process", "decision-10m", "match and count, 10 M keys", 4.0, UPDATES),
    Bar("in-process", "bytes-to-bytes-1m", "wire bytes to wire bytes, 1 M keys", 8.0, UPDATES),
    Bar("in-process", "bytes-to-bytes-10m", "wire bytes to wire bytes, 10 M keys", 6.5, UPDATES),
    Bar("in-process", "allocations", "allocations per call in our code", 0, ""),
    Bar("in-process", "two-cores-1m", "two cores in process, 1 M keys", 1.8, " × one", AT_LEAST),
    Bar("in-process", "two-cores-10m", "two cores in process, 10 M keys", 1.8, " × one", AT_LEAST),
    Bar("rules", "rules-exact-10000", "10,000 rules over 10, exact", 1.05, " ×"),
    Bar("rules", "rules-prefix-10000", "10,000 rules over 10, prefix", 1.05, " ×"),
    Bar("rules", "compile-10000", "compile 10,000 rules", 100, " ms"),
    Bar("memory", "bytes-per-counter-10m", "memory per counter, 10 M", 64, " bytes"),
    Bar("memory", "bytes-per-counter-5-20m", "the same, worst of 5 to 20 M", 80, " bytes"),
    Bar("memory", "longest-stall-10m", "longest stall, growing to 10 M", 1.0, " ms"),
    Bar("events", "sweep-p99.9", "p99.9, sweep of 10 M counters", 2.0, FLOOR),
    Bar("events", "reload-p99.9", "p99.9, reload of 10,000 rules", 2.0, FLOOR),
]


class Figures:
    """What was measured, by the name of each figure."""

    def __init__(self):
        self.values = {}
        self.parts = set()

    def take(self, part, values):
        self.parts.add(part)
        self.values.update(values)

    def table(self):
        """The figures of the parts that ran, as a table that is also Markdown."""
        rows = [("figure", "bar", "measured", "")]
        for bar in BARS:
            # Any part may measure any figure; who asked for one part wants no other's gaps.
            if bar.part in self.parts or bar.name in self.values:
                rows.append(self._row(bar))
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        rows.insert(1, tuple("-" * width for width in widths))
        lines = (" | ".join(map(str.ljust, row, widths)) for row in rows)
        return "\n".join(f"| {line} |" for line in lines)

    def _row(self, bar):
        if bar.name not in self.values:
            return (bar.what, bar.shown(), "", "not measured")
        value = self.values[bar.name]
        verdict = "met" if bar.is_met(value) else "MISSED"
        return (bar.what, bar.shown(), f"{value:.3g}{bar.unit}", verdict)
