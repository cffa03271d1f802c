"""Read the domains a person types: several at once, or the address of a page."""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from renewer.core.domains import clashes, domain
from renewer.core.errors import ConfigError, Fault


def domains(answers: Iterable[str]) -> tuple[str, ...]:
    """Return the domains, each once; raises `ConfigError` with every fault.

    They may be separated by spaces or commas. A URL counts as its host, a trailing dot is dropped, and a name
    in another script is converted to its ASCII form (IDNA).
    """
    found: list[str] = []
    faults: list[Fault] = []
    for word in [word for answer in answers for word in re.split(r"[\s,;]+", answer) if word]:
        try:
            found.append(domain(_ascii(_bare(word))))
        except ConfigError as error:
            faults.append(Fault(word, str(error)))
    names = tuple(dict.fromkeys(found))
    faults += [Fault("", message) for _, message in clashes(dict(enumerate(names)))]
    if faults:
        raise ConfigError(faults, hint="write names such as example.com, or *.example.com")
    return names


def _bare(word: str) -> str:
    """Return the host of a URL, or the word itself; without port, quotes or trailing dot."""
    word = word.strip("\"'")
    if "://" in word:
        try:
            word = urlsplit(word).hostname or word
        except ValueError:
            return word
    word = re.sub(r"^([^/:]+)(?::[0-9]+)?/?$", r"\1", word)
    return word.removesuffix(".")


def _ascii(name: str) -> str:
    """Return a name in its ASCII form if that is unambiguous; else leave it for `domain` to reject."""
    if name.isascii():
        return name
    star, base = ("*.", name[2:]) if name.startswith("*.") else ("", name)
    try:
        form = base.lower().encode("idna")
        same = form.decode("idna") == base.lower()
    except UnicodeError:
        return name
    # The codec implements IDNA 2003, which maps some letters to others (ß to ss): a different domain.
    return star + form.decode() if same else name
