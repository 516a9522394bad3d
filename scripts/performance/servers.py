"""Servers under measurement, the load that is put on them, and what they spend on it.

A server is pinned to one core and the load to another, so that neither takes from the other.
"""

import glob
import json
import os
import re
import signal
import subprocess
import threading

from .cargo import Failed

TOLLGATE = "target/release/tollgate"
FLOOR = "target/release/examples/floor"

# Long enough for a restart on a slow machine; beyond it something hangs.
START_S = 60


def cores():
    """The core of the servers and that of the load."""
    all_of_them = sorted(os.sched_getaffinity(0))
    if len(all_of_them) < 2:
        raise Failed("two cores are needed, one for the server and one for the load")
    return all_of_them[0], all_of_them[-1]


def pinned(core, command):
    return ["taskset", "--cpu-list", str(core), *command]


class Server:
    """A running process that listens on a free port, ended when its block is left."""

    def __init__(self, name, command, listening, environment=None):
        self.name = name
        self.log = []
        self._heard = threading.Condition()
        self._process = subprocess.Popen(
            pinned(cores()[0], command),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        threading.Thread(target=self._listen, daemon=True).start()
        try:
            self.addr = self.wait_for(listening)[1]
        except Failed:
            self._process.kill()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait()

    def _listen(self):
        """Reads what the server prints: unread, it would wait for room in the pipe."""
        for line in self._process.stdout:
            with self._heard:
                self.log.append(line.rstrip())
                self._heard.notify_all()

    def lines_with(self, pattern):
        """The matches of a pattern so far, one for each line that has it."""
        return [match for match in (re.search(pattern, line) for line in self.log) if match]

    def wait_for(self, pattern, times=1):
        """Waits for a line to have come so many times, and returns its last match."""
        with self._heard:
            enough = lambda: times <= len(self.lines_with(pattern))  # noqa: E731
            if not self._heard.wait_for(enough, START_S):
                last = "\n".join(self.log[-5:])
                raise Failed(f"{self.name} did not say `{pattern}`; its last lines:\n{last}")
            return self.lines_with(pattern)[-1]

    def hang_up(self):
        """Asks for the rules to be read again."""
        self._process.send_signal(signal.SIGHUP)

    def cpu_ns(self):
        """CPU time of all its threads, in nanoseconds."""
        spent = 0
        for path in glob.glob(f"/proc/{self._process.pid}/task/*/schedstat"):
            with open(path, encoding="ascii") as file:
                spent += int(file.read().split()[0])
        return spent


def tollgate(rules):
    """Our server over a file of rules, with a thread for its one core."""
    command = [TOLLGATE, "serve", "--rules", rules, "--grpc", "127.0.0.1:0"]
    command += ["--http", "127.0.0.1:0", "--threads", "1"]
    return Server("the server", command, r"serving gRPC.*addr=(\S+)")


def floor(headers=False):
    """The server that decides nothing."""
    environment = {"FLOOR_HEADERS": "1" if headers else "0"}
    return Server("the floor", [FLOOR, "127.0.0.1:0"], r"listening on (\S+)", environment)


class Load:
    """A run of `tollgate bench`, from its start to its report."""

    def __init__(self, server, *arguments):
        self.server = server
        command = [TOLLGATE, "bench", "--json", "--target", server.addr, "--domain", "bench"]
        command = pinned(cores()[1], [*command, *map(str, arguments)])
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def report(self):
        """What came of it, once it has ended. Errors make a figure worthless, so they are one."""
        out, error = self._process.communicate()
        if self._process.returncode != 0:
            raise Failed(f"loading {self.server.name} failed: {error.strip()}")
        report = json.loads(out)["targets"][0]
        if report["errors"]:
            raise Failed(f"{self.server.name} answered with errors: {report['errors']}")
        return report


def load(server, *arguments):
    return Load(server, *arguments).report()
