"""Sends messages to people, through any service that `apprise` knows: mail, chat, push.

A separate process (`apprise_worker`) sends them; it gets addresses and texts on its standard input. So a
service that hangs can be stopped, and no output of a foreign library becomes part of ours.
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
"""Seconds after which a message counts as not sent."""

SPARE = 10.0
"""Additional seconds for the worker to start and to exit."""

NETWORK = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
"""Environment variables that concern the network; the first four are also used in lower case."""

NOT_SENT = "the message could not be sent"

COURIER = (sys.executable, "-P", "-m", "renewer.notify.apprise_worker")


class Addresses:
    """The addresses in a file, read anew in each cycle; a recipient is a part of its address's SHA-256."""

    def __init__(self, path: Path, place: str, report: Report) -> None:
        self._path = path
        self._place = place
        self._report = report

    def known(self) -> Sequence[str]:
        """See `interfaces.Recipients`; raises `ConfigError` if the file cannot be used."""
        return tuple(dict.fromkeys(map(_mark, self._read().values())))

    def deliver(self, messages: Mapping[str, Message]) -> Collection[str]:
        """See `interfaces.Recipients`; an address that failed is reported by its line number."""
        lines = {_mark(address): (number, address) for number, address in self._read().items()}
        due = [who for who in messages if who in lines]
        answers = self._sent([(lines[who][1], messages[who]) for who in due])
        for who, answer in zip(due, answers, strict=True):
            if answer:
                hint = f"apprise -vv -b test --config {shell(self._path)} shows the service's answer"
                self._report.problem("notices", f"line {lines[who][0]} of {self._path}: {answer}", hint)
        return [who for who, answer in zip(due, answers, strict=True) if not answer]

    def unknown(self) -> Sequence[int]:
        """Return the numbers of the lines that apprise does not know; nothing is sent.

        Raises `ConfigError` if the file cannot be used, and `Transient` if apprise gives no answer.
        """
        lines = self._read()
        nothing = Message("", "", good=True)
        answers = self._sent([(address, nothing) for address in lines.values()], send=False)
        if NOT_SENT in answers:
            raise Transient(
                "apprise does not say which addresses it knows", hint="check that apprise works: apprise -V"
            )
        return [number for number, answer in zip(lines, answers, strict=True) if answer]

    def _read(self) -> Mapping[int, str]:
        return secrets.read_addresses(self._path, self._place)

    def _sent(self, letters: Sequence[tuple[str, Message]], *, send: bool = True) -> Sequence[str]:
        """Send the letters, or only check them; return what went wrong with each, or an empty text."""
        names = (*NETWORK, *(name.lower() for name in NETWORK))
        errand = {
            "environment": {"NETRC": os.devnull}  # only credentials in the address are used
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
