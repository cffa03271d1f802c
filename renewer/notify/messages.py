"""People who are told by message, through whatever `apprise` knows: mail, chat, push.

The messages are sent by a process of its own (`apprise_worker`), which is given addresses and texts on its
standard input. So a service that hangs can be ended, and nothing that a foreign library says reaches our
output.
"""

import hashlib
import json
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from renewer.config import secrets
from renewer.core.errors import RenewerError, Transient
from renewer.core.interfaces import Report
from renewer.core.notice import Message
from renewer.core.printable import shell
from renewer.system import process

PATIENCE = 20.0
"""Seconds after which every message is taken, or counts as not."""

SPARE = 10.0
"""Seconds that the courier may take beyond that to start and to end."""

NETWORK = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
"""What of our environment says how the network is reached; the first four are known in lower case too."""

NOT_SENT = "the message could not be sent"

COURIER = (sys.executable, "-P", "-m", "renewer.notify.apprise_worker")


class Addresses:
    """The addresses in a file, read anew for each cycle; a mark is a part of an address's SHA-256."""

    def __init__(self, path: Path, place: str, report: Report) -> None:
        self._path = path
        self._place = place
        self._report = report

    def known(self) -> Sequence[str]:
        """See `interfaces.Recipients`; raises `ConfigError` for a file that cannot be used."""
        return tuple(dict.fromkeys(map(_mark, self._read().values())))

    def deliver(self, messages: Mapping[str, Message]) -> Collection[str]:
        """See `interfaces.Recipients`; who could not be told is reported by the number of the line."""
        lines = {_mark(address): (number, address) for number, address in self._read().items()}
        due = [who for who in messages if who in lines]
        answers = self._sent([(lines[who][1], messages[who]) for who in due])
        for who, answer in zip(due, answers, strict=True):
            if answer:
                hint = f"apprise -vv -b test --config {shell(self._path)} shows what that service says"
                self._report.problem("notices", f"line {lines[who][0]} of {self._path}: {answer}", hint)
        return [who for who, answer in zip(due, answers, strict=True) if not answer]

    def unknown(self) -> Sequence[int]:
        """Return the lines whose addresses apprise does not know; nobody is told anything.

        Raises `ConfigError` for a file that cannot be used, `Transient` where apprise gives no answer.
        """
        lines = self._read()
        nothing = Message("", "", good=True)
        answers = self._sent([(address, nothing) for address in lines.values()], send=False)
        if NOT_SENT in answers:
            raise Transient(
                "apprise does not say which addresses it knows", hint="see whether it is installed whole"
            )
        return [number for number, answer in zip(lines, answers, strict=True) if answer]

    def _read(self) -> Mapping[int, str]:
        return secrets.read_addresses(self._path, self._place)

    def _sent(self, letters: Sequence[tuple[str, Message]], *, send: bool = True) -> Sequence[str]:
        """Have the letters sent, or only looked at; return what went wrong with each, empty for nothing."""
        names = (*NETWORK, *(name.lower() for name in NETWORK))
        errand = {
            "environment": {"NETRC": os.devnull}  # what is sent is what the address has
            | {name: os.environ[name] for name in names if name in os.environ},
            "patience": PATIENCE,
            "send": send,
            "letters": [[url, one.title, one.body, one.good] for url, one in letters],
        }
        try:
            done = process.run(COURIER, PATIENCE + SPARE, given=json.dumps(errand).encode())
            answers = [str(answer) for answer in json.loads(done.output)]
        except (RenewerError, ValueError, TypeError):
            answers = []
        return answers if len(answers) == len(letters) else [NOT_SENT] * len(letters)


def _mark(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()[:16]
