"""What was measured, as a picture: how time, CPU and memory grow with the number of certificates."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pygal
from pygal.style import CleanStyle


def draw(results: Mapping[str, Any], file: Path) -> None:
    """Draw it, if it was measured."""
    rows = results.get("many")
    if not rows:
        return
    chart = pygal.XY(
        title="Certificates that are due together",
        x_title="certificates",
        y_title="seconds",
        logarithmic=True,
        style=CleanStyle,
        js=[],  # a picture that loads nothing from anywhere
        explicit_size=True,
        width=800,
        height=480,
    )
    for zones in sorted({row["zones"] for row in rows}):
        for what, name in (("wall", "seconds"), ("cpu", "CPU seconds")):
            points = [(row["certificates"], row["renewer"][what]) for row in rows if row["zones"] == zones]
            chart.add(f"{name}, {zones} zone{'s' if zones > 1 else ''}", points)
    certbot = [(row["certificates"], row["certbot"]["wall"]) for row in rows if "certbot" in row]
    chart.add("certbot, one after the other", certbot)
    chart.render_to_file(str(file))
