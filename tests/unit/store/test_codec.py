"""Documents: strict, and safe to read from several threads at once."""

import json
import subprocess
import sys
from dataclasses import dataclass

import pytest

from renewer.store.codec import UnreadableError, decode, encode

AT_ONCE = """
import sys, threading
from dataclasses import field, make_dataclass
from renewer.store.codec import decode
sys.setswitchinterval(1e-6)
for _ in range(100):
    inner = make_dataclass("Inner", [(f"f{number}", int, 0) for number in range(20)])
    outer = make_dataclass("Outer", [(f"g{number}", inner, None) for number in range(5)])
    gate = threading.Barrier(4)
    found = []
    def work():
        gate.wait()
        found.append(decode(b'{"g0": {"f0": 1, "f19": 3}}', outer).g0.f19)
    threads = [threading.Thread(target=work) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert found == [3] * 4
"""


@dataclass(frozen=True)
class Room:
    name: str
    doors: int = 1


def test_what_was_written_is_read() -> None:
    assert decode(encode(Room("hall", 2)), Room) == Room("hall", 2)
    assert decode(b'{"a": "b"}', dict[str, str]) == {"a": "b"}


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b'{"name": 1}', b'{"name": "\xff"}', b"\xff", b'{"doors": 1}', b"[" * 100_000]
)
def test_anything_else_is_unreadable(data: bytes) -> None:
    with pytest.raises(UnreadableError, match=r"."):
        decode(data, Room)


def test_several_threads_may_read_the_first_document_of_a_kind_at_once() -> None:
    done = subprocess.run([sys.executable, "-c", AT_ONCE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["server", "directory_url"])
def test_a_site_or_a_certificate_may_have_that_name_too(name: str) -> None:
    """Documents map names to fingerprints and times: `[site.server]`, `[certificate.server]`."""
    told = {name: "ab" * 32}
    assert json.loads(encode(told)) == told
    assert decode(encode(told), dict[str, str]) == told


@pytest.mark.parametrize("url", ["https://ca.example/", "http://127.0.0.1:14000/dir", ""])
def test_every_address_of_a_ca_is_read_back(url: str) -> None:
    assert json.loads(encode(Told(url, "x"))) == {"server": url, "text": "x"}
    assert decode(encode(Told(url, "x")), Told) == Told(url, "x")


@dataclass(frozen=True)
class Told:
    directory_url: str
    text: str


def test_the_directory_of_a_ca_keeps_the_name_that_documents_always_had() -> None:
    value = Told("https://ca.example/", 'it said {"server": "x"}, "directory_url": and "server":')
    data = encode(value)
    assert json.loads(data) == {"server": value.directory_url, "text": value.text}
    assert decode(data, Told) == value
