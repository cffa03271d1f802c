"""Runs one program and tells what it cost: the least that can start it, so that it is not itself measured.

    python -I -S meter.py FILE ARGV...

FILE gets wall seconds, CPU seconds with those of its children, peak memory in KiB, and the exit code. A
process begins with the peak memory of whoever starts it: this one is as small as the interpreter itself.
"""

import os
import sys
import time

file, *argv = sys.argv[1:]
begin = time.monotonic()
child = os.posix_spawn(argv[0], argv, os.environ)
_, status, used = os.wait4(child, 0)
wall = time.monotonic() - begin
with open(file, "w") as told:  # noqa: PTH123 - pathlib would be the largest part of it
    told.write(f"{wall} {used.ru_utime + used.ru_stime} {used.ru_maxrss} {os.waitstatus_to_exitcode(status)}")
