"""`python -m machine`: have the image ready, or end with 3 and a line that says why none can boot here."""

import sys

from support.machine import image, missing, program

if problem := missing():
    print(f"== tests/systemd does not run here: {problem}")  # noqa: T201 - for whoever runs the tests
    sys.exit(3)
program.layers(image.base())
