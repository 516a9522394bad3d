"""Building, and running the benches that measure in process."""

import os
import re
import subprocess
import sys

FIGURE = re.compile(r"^figure (\S+) ([0-9.]+)\b")


class Failed(Exception):
    """What kept a part from being measured, as a sentence."""


def say(text):
    """A line of progress."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def build():
    """Builds the server, which is also the load, and the floor."""
    say("building the server and the floor")
    for what in (["--bin", "tollgate"], ["--example", "floor"]):
        built = subprocess.run(["cargo", "build", "--release", "--quiet", *what], check=False)
        if built.returncode != 0:
            raise Failed("the build failed")


def bench(name):
    """Runs a bench of benches/ and reads its lines of the form `figure NAME VALUE UNIT`.

    A figure that is printed more than once, for each kind of limit say, counts at its largest.
    """
    say(f"cargo bench --bench {name}")
    command = ["cargo", "bench", "--quiet", "--bench", name]
    figures = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        for line in running.stdout:
            say(f"{name}: {line.rstrip()}")
            figure = FIGURE.match(line)
            if figure:
                figures[figure[1]] = max(float(figure[2]), figures.get(figure[1], 0))
    if running.returncode != 0:
        say(f"{name} ended with an error; what it printed before still counts")
    if not figures:
        say(f"{name} printed no figures")
    return figures


def allocations():
    """None, if the test passes that counts them and allows none."""
    if not os.path.exists("tests/allocations.rs"):
        say("there is no test that counts allocations")
        return {}
    say("cargo test --test allocations")
    command = ["cargo", "test", "--quiet", "--test", "allocations"]
    passed = subprocess.run(command, stdout=sys.stderr, check=False).returncode == 0
    return {"allocations": 0} if passed else {}
