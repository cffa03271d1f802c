"""A process that sends messages with `apprise`, and reports the result of each; started by `messages`.

It reads JSON from standard input and writes JSON to standard output, and nothing else: the output of a
service or its plug-in may contain the address, which is a secret.
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

REFUSED = "the service rejected the message"
UNKNOWN = "apprise does not know this kind of address"
SLOW = "the service did not answer in time"

MEMORY, EACH = 256 * 1024 * 1024, 16 * 1024 * 1024
"""Bytes of memory this process may use, and bytes in addition for each message, whose thread has a stack."""

_PR_SET_DUMPABLE = 4


def main() -> NoReturn:
    """Send the messages from standard input in parallel, and exit in time even if one hangs."""
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
    os._exit(0)  # abandon what still hangs


def _let_nobody_look_in() -> None:
    """Deny other processes of this user access: the addresses may be from a file of root's (prctl(2))."""
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _with_little_memory(most: int) -> None:
    """Limit the memory: plug-ins read a service's answer whatever its size."""
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _alone() -> int:
    """Silence all other output: return the handle for the answer, and redirect the standard ones."""
    answer, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    logging.disable(logging.CRITICAL)
    return answer


def _known(address: str) -> str:
    """Return what is wrong with an address, or an empty text; nothing is sent."""
    import apprise  # noqa: PLC0415 - only after its output is silenced

    try:
        return (
            "" if apprise.Apprise(asset=apprise.AppriseAsset(secure_logging=True)).add(address) else UNKNOWN
        )
    except Exception:  # noqa: BLE001 - a plug-in may raise anything, with the address in it
        return UNKNOWN


def _send(address: str, title: str, body: str, good: bool) -> str:  # noqa: FBT001 - as JSON has it
    """Send one message; return what went wrong, or an empty text."""
    import apprise  # noqa: PLC0415 - only after its output is silenced

    # No redirects: a message goes only to its own address.
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
