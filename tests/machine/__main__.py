"""`python -m machine`: say why no machine can boot here, if none can, and otherwise have the image ready."""

import sys

from machine import image, missing, program

if problem := missing():
    sys.exit(f"tests/systemd does not run here: {problem}")
program.layers(image.base())
