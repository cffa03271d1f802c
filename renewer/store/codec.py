"""Encodes values as JSON documents, and decodes them strictly.

msgspec inspects a dataclass when it first decodes it, and stores the result with the class before it is
complete: another thread that decodes the same class at that moment follows invalid pointers, and the process
dies (SIGSEGV, seen with 0.22). So only one thread at a time creates a decoder, whatever the class: classes
contain each other, so a `Once` for each class would not do.

Documents call a CA's directory URL `server`, as they have from the first version on. A site or a certificate
may have that name as well, but its value is a fingerprint or a time: only a URL, or nothing, is a CA's.
"""

import json
import re
import threading
from typing import Any, TypeVar

import msgspec

Value = TypeVar("Value")

_UNFIT = re.compile(r"[^ -~]")
_OURS = re.compile(rb'"directory_url":(?="https?://|"")')  # in a string, the first quote would be escaped
_STORED = re.compile(rb'"server":(?=\s*"https?://|\s*"")')
_learning = threading.Lock()
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


class UnreadableError(ValueError):
    """The bytes are not the expected document; the message says where and why."""


def encode(value: object) -> bytes:
    """Return the document of a value, with escapes for characters that are not printable."""
    text = _OURS.sub(b'"server":', msgspec.json.encode(value)).decode()
    return (text if text.isprintable() else _UNFIT.sub(_escaped, text)).encode()


def _escaped(found: re.Match[str]) -> str:
    """Return a character as JSON escapes it; characters outside ASCII occur only within strings."""
    if found[0].isprintable():
        return found[0]
    return "\\u007f" if found[0] == "\x7f" else json.dumps(found[0])[1:-1]


def decode(data: bytes, form: type[Value]) -> Value:
    """Return the value of a document; raises `UnreadableError` if it does not have this form."""
    with _learning:
        decoder = _decoders.get(form) or _decoders.setdefault(form, msgspec.json.Decoder(form))
    try:
        found: Value = decoder.decode(_STORED.sub(b'"directory_url":', data))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableError(str(error)) from error
    return found
