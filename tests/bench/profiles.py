"""Where the CPU time of one issuance goes: by what it is for, and what each package costs to import."""

import pstats
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from contest import Renewer, Setting, place
from measure import median

IMPORTED = re.compile(r"^import time:\s+(\d+) \|\s+\d+ \| +(\S+)$", re.MULTILINE)

KINDS = {
    "imports": r"importlib|marshal|__build_class__|builtins\.(?:exec|compile)|<module>|pydantic|typing",
    "cryptography and TLS": r"cryptography|OpenSSL|_ssl|[/.]ssl|_hashlib|josepy|_rust|x509",
    "JSON and the store": r"json|msgspec|renewer/store|renewer/system/files|posix\.f?sync",
    "HTTP": r"requests|urllib3|httpx|httpcore|h11|http/client|_socket|cloudflare|acme",
    "DNS": r"/dns/|renewer/dns",
    "nginx": r"crossplane|renewer/nginx|renewer/system/process|subprocess",
}
"""What a function is for, by where it stands; the first that fits counts."""


def measured(setting: Setting, source: Path, runs: int, most: int = 12) -> dict[str, Any]:
    """Profile a renewal in three ways: what it imports, what the interpreter does, what the kernel counts."""
    with place(setting=setting) as world:
        renewer = Renewer(world, source)
        config = renewer.configured(["example.com"])
        renewer.program(config, "renew").run()
        again = renewer.program(config, "renew", "--force")
        cpu = median([again.run().cpu for _ in range(runs)])
        environment = {**again.environment, "PATH": "/usr/bin:/bin"}
        said = subprocess.run(
            [sys.executable, "-X", "importtime", *again.argv[1:]],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stderr
        stats = config.parent / "stats"
        subprocess.run(
            [sys.executable, "-m", "cProfile", "-o", stats, *again.argv[1:]],
            env=environment,
            capture_output=True,
            check=True,
        )
        found = pstats.Stats(str(stats))
    times, modules = Counter[str](), Counter[str]()
    for micro, module in IMPORTED.findall(said):
        package = module.partition(".")[0]
        package = package if package not in sys.stdlib_module_names else "the standard library"
        times[package] += int(micro)
        modules[package] += 1
    total = sum(times.values())
    return {
        "cpu": cpu,
        "imports": total / 1e6,
        "modules": modules.total(),
        "packages": {
            name: {"share": spent / total, "seconds": spent / 1e6, "modules": modules[name]}
            for name, spent in times.most_common(most)
        },
        "kinds": _kinds(found),
    }


def _kinds(stats: pstats.Stats) -> dict[str, float]:
    """Return the share of each kind of work in what the interpreter did, waiting left out."""
    spent = Counter[str]()
    for (file, _, function), (_, _, own, _, _) in stats.stats.items():  # type: ignore[attr-defined]
        place_ = f"{file} {function}"
        if re.search(r"acquire|poll|select|recv|sleep|read' of '_ssl|do_handshake|waitpid|connect'", place_):
            continue  # it waits
        kind = next((kind for kind, pattern in KINDS.items() if re.search(pattern, place_)), "the rest")
        spent[kind] += own
    total = spent.total()
    return {kind: seconds / total for kind, seconds in spent.most_common()}
