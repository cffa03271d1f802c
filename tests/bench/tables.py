"""What was measured, as tables in Markdown."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

NOTE_SHORT = "Measured with `--short`: the figures mean nothing, but that they are there.\n"


def told(results: Mapping[str, Any]) -> str:
    """Return all that was measured."""
    lines = [conditions(results["about"])]
    for name, write in WRITERS.items():
        if name in results:
            lines += [*write(results[name]), ""]
    return "\n".join(lines)


def short(results: Mapping[str, Any]) -> str:
    """Return the table for the page: a row for each question, certbot's answer beside ours."""
    rows = [row for name, write in SHORT.items() if name in results for row in write(results[name])]
    return "\n".join([*table(["", "renewer", "certbot"], rows), "", conditions(results["about"])])


def conditions(about: Mapping[str, Any]) -> str:
    """Return when and where it was measured."""
    certbot = f", certbot {about['certbot']}" if about["certbot"] else ""
    return (NOTE_SHORT if about["short"] else "") + (
        f"Measured on {about['day']} with `{about['command']}`: {about['cores']} cores\n(load"
        f" {about['load_before']:.1f} at the beginning, {about['load_after']:.1f} at the end), Python"
        f" {about['python']}{certbot}; medians.\n"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table; all but its first column is figures."""
    rule = ["---", *("--:" for _ in head[1:])]
    return [f"| {' | '.join(row)} |" for row in (head, rule, *rows)]


def ratio(value: float | None) -> str:
    """Return a ratio, if there is one."""
    return "" if value is None else f"{value:.2f}"


def _single(found: Mapping[str, Any]) -> Iterator[str]:
    head = [
        "one certificate",
        "seconds",
        "of the floor",
        "of certbot",
        "CPU s",
        "MiB",
        "Cloudflare calls",
        "CA requests",
    ]
    rows = [
        [
            f"{kind}: {name}",
            f"{one['wall']:.2f}",
            f"{one['to_floor']:.2f}",
            ratio(one["wall_to"].get("certbot")),
            f"{one['cpu']:.2f}",
            f"{one['peak']:.0f}",
            f"{one['calls']:.0f}",
            f"{one['requests']:.0f}",
        ]
        for kind, everybody in found.items()
        for name, one in everybody.items()
    ]
    yield from table(head, rows)
    floors = ", ".join(f"{kind} {everybody['renewer']['floor']:.2f} s" for kind, everybody in found.items())
    for kind, everybody in found.items():
        if "renewer before" in everybody:
            now = everybody["renewer"]
            wall, cpu = (now[what]["renewer before"] for what in ("wall_to", "cpu_to"))
            yield f"\n{kind}: {wall:.2f} of the seconds and {cpu:.2f} of the CPU of the revision before."
    yield f"\nThe floor ({floors}): the slowest name server, 3 or 2 calls, 12 or 11 round trips to the CA."


def _many(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    head = [
        "due together",
        "zones",
        "seconds",
        "CPU s",
        "MiB",
        "calls each",
        "requests each",
        "growth of seconds",
    ]
    rows = []
    for one in found:
        for name in ("renewer", "renewer before", "certbot"):
            if name not in one:
                continue
            cost, growth = one[name], one["growth"]
            rows.append(
                [
                    f"{one['certificates']:,} {'' if name == 'renewer' else f' ({name})'}".strip(),
                    str(one["zones"]),
                    f"{cost['wall']:.1f}",
                    f"{cost['cpu']:.1f}",
                    f"{cost['peak']:.0f}",
                    f"{cost['calls_each']:.2f}",
                    f"{cost['requests_each']:.1f}",
                    f"n^{growth['wall']:.2f}" if growth and name == "renewer" else "",
                ]
            )
    yield from table(head, rows)


def _idle(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    rows = [
        [
            f"{one['certificates']:,}: {name}",
            f"{cost['wall']:.3f}",
            f"{cost['cpu']:.3f}",
            f"{cost['peak']:.1f}",
            f"{cost['renewer_to_this']:.2f}",
        ]
        for one in found
        for name, cost in one.items()
        if name != "certificates"
    ]
    yield from table(["nothing due", "seconds", "CPU s", "MiB", "renewer's part of it"], rows)


def _daemon(found: Mapping[str, Any]) -> Iterator[str]:
    rows = [
        [f"MiB after {found['early']} cycles", f"{found['resident_early']:.1f}"],
        [f"MiB after {found['cycles']} cycles", f"{found['resident']:.1f}"],
        [
            f"wake-ups a minute, of all its threads, over {found['watched']:.0f} s",
            f"{found['wakeups_a_minute']:.1f}",
        ],
    ]
    yield from table(["the daemon, idle", ""], rows)


def _gate(found: Mapping[str, Any]) -> Iterator[str]:
    rows = [
        [f"{kind}, {gate}", f"{one['rate']:,.0f}", f"{one['of_none']:.2f}"]
        for kind, gates in found.items()
        for gate, one in gates.items()
    ]
    yield from table(["answered by nginx, gate", "requests a second", "of those without"], rows)


def _served(found: Mapping[str, Any]) -> Iterator[str]:
    lost = ", ".join(f"{count} {why}" for why, count in found["lost"].items()) or "0"
    rows = [
        [
            "seconds from a stored certificate to the first handshake with it",
            f"{found['first_handshake']:.2f}",
        ],
        [f"the latest of {found['renewals']}", f"{found['latest_handshake']:.2f}"],
        ["seconds to publish, reload and see it served", f"{found['reload_seconds']:.2f}"],
        [f"requests lost over {found['reloads']} reloads, of {found['requests']:,}", lost],
    ]
    yield from table(["nginx takes up a certificate", ""], rows)


def _profile(found: Mapping[str, Any]) -> Iterator[str]:
    rows = [[kind, f"{share:.0%}"] for kind, share in found["kinds"].items()]
    yield from table([f"where {found['cpu']:.2f} s of CPU of one renewal go", "part"], rows)
    packages = ", ".join(f"{name} {one['share']:.0%}" for name, one in found["packages"].items())
    yield f"\nOf the imports ({found['modules']} modules): {packages}."


WRITERS = {
    "single": _single,
    "many": _many,
    "idle": _idle,
    "daemon": _daemon,
    "gate": _gate,
    "served": _served,
    "profile": _profile,
}


def _short_single(found: Mapping[str, Any]) -> Iterator[list[str]]:
    for kind, everybody in found.items():
        for name, one in everybody.items():
            if name.startswith("renewer") and name != "renewer before":
                more = name.removeprefix("renewer")
                what = "a first certificate" if kind == "first" else "a renewal"
                yield [
                    f"{what}{more}: seconds (of the least possible)",
                    f"{one['wall']:.1f} ({one['to_floor']:.2f})",
                    *_beside(everybody, lambda other: f"{other['wall']:.1f} ({other['to_floor']:.2f})"),
                ]
        yield [
            "its calls to Cloudflare, requests to the CA",
            f"{everybody['renewer']['calls']:.0f}, {everybody['renewer']['requests']:.0f}",
            *_beside(everybody, lambda other: f"{other['calls']:.0f}, {other['requests']:.0f}"),
        ]


def _short_many(found: Sequence[Mapping[str, Any]]) -> Iterator[list[str]]:
    for one in found:
        zones = "1 zone" if one["zones"] == 1 else f"{one['zones']} zones"
        yield [
            f"{one['certificates']:,} due together in {zones}: seconds, CPU seconds, MiB",
            *(
                f"{cost['wall']:.1f}, {cost['cpu']:.1f}, {cost['peak']:.0f}" if cost else ""
                for cost in (one["renewer"], one.get("certbot"))
            ),
        ]


def _short_idle(found: Sequence[Mapping[str, Any]]) -> Iterator[list[str]]:
    for one in found:
        yield [
            f"nothing due, {one['certificates']:,} kept: seconds, MiB",
            *(
                f"{cost['wall']:.2f}, {cost['peak']:.0f}" if cost else ""
                for cost in (one["renewer"], one.get("certbot"))
            ),
        ]


def _short_daemon(found: Mapping[str, Any]) -> Iterator[list[str]]:
    yield [
        f"the daemon after {found['cycles']} cycles: MiB, growth since {found['early']}, wake-ups a minute",
        f"{found['resident']:.1f}, {found['growth']:.1f}, {found['wakeups_a_minute']:.1f}",
        "",
    ]


def _short_gate(found: Mapping[str, Any]) -> Iterator[list[str]]:
    for kind, gates in found.items():
        yield [
            f"nginx, {kind}, of its requests a second without a gate: session, url",
            f"{gates['session']['of_none']:.2f}, {gates['url']['of_none']:.2f}",
            "",
        ]


def _short_served(found: Mapping[str, Any]) -> Iterator[list[str]]:
    yield ["seconds from a stored certificate to its first handshake", f"{found['first_handshake']:.2f}", ""]
    yield [
        f"requests lost over {found['reloads']} reloads, of {found['requests']:,}",
        str(sum(found["lost"].values())),
        "",
    ]


def _beside(everybody: Mapping[str, Any], write: Callable[[Mapping[str, Any]], str]) -> list[str]:
    return [write(everybody["certbot"]) if "certbot" in everybody else ""]


SHORT = {
    "single": _short_single,
    "many": _short_many,
    "idle": _short_idle,
    "daemon": _short_daemon,
    "gate": _short_gate,
    "served": _short_served,
}
