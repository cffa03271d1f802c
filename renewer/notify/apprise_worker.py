"""A process that sends messages by `apprise`, and says of each what went wrong; started by `messages`.

It is given JSON on standard input and answers JSON on standard output. Nothing else is ever said there, since
what a service or its plug-in says may hold the address, which is a secret.
"""

import ctypes
import json
import logging
import os
import resource
import sys
import threading
import time
from typing import NoReturn

REFUSED = "the service did not take the message"
UNKNOWN = "this is no address that apprise knows"
SLOW = "the service did not answer in time"

MEMORY, EACH = 256 * 1024 * 1024, 16 * 1024 * 1024
"""Bytes of memory that may be had, and those besides for each message: its thread has a stack."""

_PR_SET_DUMPABLE = 4


def main() -> NoReturn:
    """Send what is on standard input, side by side, and end in time whatever hangs."""
    _let_nobody_look_in()
    answer = _alone()
    errand = json.load(sys.stdin)
    os.environ.update(errand["environment"])
    letters = errand["letters"]
    _with_little_memory(MEMORY + EACH * len(letters))
    said = [SLOW] * len(letters)

    def send(place: int) -> None:
        said[place] = _send(*letters[place]) if errand["send"] else _known(letters[place][0])

    senders = [threading.Thread(target=send, args=(place,), daemon=True) for place in range(len(letters))]
    for sender in senders:
        sender.start()
    deadline = time.monotonic() + errand["patience"]
    for sender in senders:
        sender.join(max(deadline - time.monotonic(), 0))
    os.write(answer, json.dumps(said).encode())
    os._exit(0)  # what still hangs is left behind


def _let_nobody_look_in() -> None:
    """Keep other processes of this user out: the addresses may be from a file of root's (prctl(2))."""
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _with_little_memory(most: int) -> None:
    """Have more than this be an error: plug-ins read what a service answers, whatever its size."""
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _alone() -> int:
    """Let nobody else be heard: return where to answer, and close the ways on which others speak."""
    answer, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    logging.disable(logging.CRITICAL)
    return answer


def _known(address: str) -> str:
    """Return what is wrong with an address, empty for nothing; nobody is asked."""
    import apprise  # noqa: PLC0415 - after the ways are closed on which it could be heard

    try:
        return (
            "" if apprise.Apprise(asset=apprise.AppriseAsset(secure_logging=True)).add(address) else UNKNOWN
        )
    except Exception:  # noqa: BLE001 - a plug-in may raise anything, with the address in it
        return UNKNOWN


def _send(address: str, title: str, body: str, good: bool) -> str:  # noqa: FBT001 - as JSON has it
    """Send one message; return what went wrong, empty for nothing."""
    import apprise  # noqa: PLC0415 - after the ways are closed on which it could be heard

    # A message goes where its address says, and nowhere else.
    asset = apprise.AppriseAsset(
        app_id="renewer", async_mode=False, http_redirects=False, secure_logging=True
    )
    service = apprise.Apprise(asset=asset)
    kind = apprise.NotifyType.SUCCESS if good else apprise.NotifyType.FAILURE
    try:
        if not service.add(address):
            return UNKNOWN
        taken = service.notify(body, title, notify_type=kind, body_format=apprise.NotifyFormat.TEXT)
    except Exception:  # noqa: BLE001 - a plug-in may raise anything, with the address in it
        return REFUSED
    return "" if taken else REFUSED


if __name__ == "__main__":
    main()
