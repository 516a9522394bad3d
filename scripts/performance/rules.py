"""The rules that servers are measured with, and the calls that they are for."""

# Of many rules, the one that all calls are for.
MATCHING = 123

# Three entries, as a gateway sends them.
CALL = f"plan=free,endpoint=/v1/resource/{MATCHING}"
ONE_KEY = f"key=key-{{key}},{CALL}"
OTHER_KEY = f"key=key-{{each}},{CALL}"

# No call is refused: an answer must not get cheaper by running into a limit.
PLENTY = 1_000_000_000


def write(path, count, limits, rest=""):
    """Writes rules for as many endpoints, each with these limits."""
    with open(path, "w", encoding="ascii") as file:
        file.write(f"domain: bench\n{rest}rules:\n")
        for number in range(count):
            file.write(f"  - name: r{number}\n")
            file.write(f"    match: {{ endpoint: /v1/resource/{number} }}\n")
            file.write(f"    count_by: [key]\n    limits: [{limits}]\n")
    return path
