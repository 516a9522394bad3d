"""Building, and running the benches that measure in process."""

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
    """Runs a bench of benches/ and reads its lines of the form `figure NAME VALUE UNIT`."""
    say(f"cargo bench --bench {name}")
    command = ["cargo", "bench", "--quiet", "--bench", name]
    figures = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        for line in running.stdout:
            say(f"{name}: {line.rstrip()}")
            figure = FIGURE.match(line)
            if figure:
                figures[figure[1]] = float(figure[2])
    if running.returncode != 0:
        say(f"{name} ended with an error; what it printed before still counts")
    if not figures:
        say(f"{name} printed no figures")
    return figures
