"""What the fuzzed tests draw: documents that are right but for one place, damaged bytes, noise."""

import json
from collections.abc import Iterator
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from hypothesis import settings
from hypothesis import strategies as st
from support import chains
from support.fakes import DAY, NOW

from renewer.core import x509 as keys
from renewer.core.journal import TxtRecord
from renewer.core.model import KeyKind

NAME = "example.com"
ZONE = "023e105f4ecef8ad9ca31a8372d0c353"
RECORD = TxtRecord(f"_acme-challenge.{NAME}", "value")
DEEP = 1_500


def often(times: int) -> settings:
    """Return settings for `times` as many examples as a property test of the rest draws."""
    return settings(max_examples=times * settings().max_examples, deadline=None)


texts = st.text(st.characters(exclude_categories=()), max_size=20)
"""Lone surrogates are among them: JSON can spell them."""

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.just(10**400) | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
noise = (
    st.binary(max_size=60)
    | st.sampled_from([b"[" * DEEP, b'{"a":' * DEEP, b"<!doctype html><title>502</title>", b'"\xff"'])
    | values.map(lambda value: json.dumps(value).encode())
)


def places(document: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where something stands in a JSON document."""
    yield path
    inner = document.items() if isinstance(document, dict) else ()
    for step, value in enumerate(document) if isinstance(document, list) else inner:
        yield from places(value, (*path, step))


def changed(document: Any, path: tuple[Any, ...], value: object) -> Any:
    """Return the document with another value there."""
    if not path:
        return value
    copied = document.copy()
    copied[path[0]] = changed(copied[path[0]], path[1:], value)
    return copied


def without(document: Any, path: tuple[Any, ...]) -> Any:
    """Return the document without what stands there."""
    copied = document.copy()
    if len(path) > 1:
        copied[path[0]] = without(copied[path[0]], path[1:])
    else:
        del copied[path[0]]
    return copied


@st.composite
def bent(draw: st.DrawFn, document: bytes) -> bytes:
    """Draw a JSON document that is right but for one place."""
    right = json.loads(document)
    path = draw(st.sampled_from(list(places(right))))
    if path and draw(st.booleans()):
        return json.dumps(without(right, path)).encode()
    return json.dumps(changed(right, path, draw(values))).encode()


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """Draw the bytes cut short, or with some of them replaced."""
    start = draw(st.integers(0, len(data)))
    end = draw(st.integers(start, min(len(data), start + 8)) | st.just(len(data)))
    return data[:start] + draw(st.binary(max_size=8)) + data[end:]


def anything_like(document: bytes) -> st.SearchStrategy[bytes]:
    return bent(document) | damaged(document) | noise


@st.composite
def bit_flips(draw: st.DrawFn, der: bytes) -> bytes:
    """Draw a certificate with some bytes changed and none missing, so that its structure mostly holds."""
    data = bytearray(der)
    for place in draw(st.lists(st.integers(0, len(der) - 1), min_size=1, max_size=3)):
        data[place] = draw(st.integers(0, 255))
    return bytes(data)


# -- what the CA says ---------------------------------------------------------------------------------------

CA = chains.Authority()
KEY, CHAIN = CA.issue([NAME, f"*.{NAME}"], NOW - DAY, NOW + 89 * DAY)
KEPT = keys.read_pair(KeyKind.EC256, KEY, CHAIN)
LEAF, INTERMEDIATE = (
    one.public_bytes(serialization.Encoding.DER) for one in x509.load_pem_x509_certificates(CHAIN.encode())
)
