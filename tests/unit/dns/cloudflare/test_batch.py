"""Calls that travel together."""

import threading
from collections.abc import Callable, Sequence
from http import HTTPStatus

import pytest

from renewer.core.errors import Transient
from renewer.core.journal import TxtRecord
from renewer.dns.cloudflare.batch import MOST, Changes, ZoneBatch
from renewer.dns.cloudflare.errors import Said


class Provider:
    """Notes every call; `hold` keeps the first one under way until it is set."""

    def __init__(self, refuse: str = "", fail: Exception | None = None) -> None:
        self.calls: list[Changes] = []
        self.began, self.hold = threading.Event(), threading.Event()
        self._refuse, self._fail = refuse, fail

    def send(self, changes: Changes) -> Sequence[str]:
        first = not self.calls
        self.calls.append(changes)
        if first:
            self.began.set()
            assert self.hold.wait(10)
        elif self._fail:
            raise self._fail
        if any(record.value == self._refuse for record in changes.create):
            raise Said(HTTPStatus.BAD_REQUEST, {}, None)
        return [record.value for record in changes.create]


def record(value: str) -> TxtRecord:
    return TxtRecord("_acme-challenge.example.com", value)


def crowd(provider: Provider, *wishes: Changes) -> list[object]:
    """Let one call be under way when the others come, and return what each of those got."""
    together = ZoneBatch(provider.send)
    got: list[object] = [None] * len(wishes)

    def wish(place: int) -> None:
        try:
            got[place] = together.change(wishes[place])
        except (Said, Transient) as error:
            got[place] = error

    def start(act: Callable[[], object]) -> threading.Thread:
        thread = threading.Thread(target=act)
        thread.start()
        return thread

    threads = [start(lambda: together.change(Changes((record("first"),))))]
    assert provider.began.wait(10)
    for place in range(len(wishes)):
        threads.append(start(lambda place=place: wish(place)))
        while together.waiting <= place:
            pass
    provider.hold.set()
    for thread in threads:
        thread.join(10)
    return got


def test_who_comes_alone_goes_alone() -> None:
    provider = Provider()
    provider.hold.set()
    together = ZoneBatch(provider.send)
    assert together.change(Changes((record("a"), record("b")))) == ["a", "b"]
    assert together.change(Changes(remove=("x",))) == []
    assert [len(call) for call in provider.calls] == [2, 1]


def test_what_comes_while_a_call_is_under_way_goes_in_the_next_one() -> None:
    provider = Provider()
    wishes = [Changes((record("a"),)), Changes(remove=("x", "y")), Changes((record("b"), record("c")))]
    assert crowd(provider, *wishes) == [["a"], [], ["b", "c"]]
    assert provider.calls[1:] == [Changes((record("a"), record("b"), record("c")), ("x", "y"))]


def test_no_call_is_larger_than_the_provider_takes() -> None:
    provider = Provider()
    half = tuple(str(number) for number in range(MOST // 2))
    crowd(provider, Changes(remove=half), Changes(remove=half), Changes(remove=("one more",)))
    assert [len(call) for call in provider.calls[1:]] == [MOST, 1]


def test_a_refusal_concerns_only_who_it_is_meant_for() -> None:
    provider = Provider(refuse="bad")
    got = crowd(provider, Changes((record("a"),)), Changes((record("bad"),)), Changes(remove=("x",)))
    assert [type(one) if isinstance(one, Said) else one for one in got] == [["a"], Said, []]


@pytest.mark.parametrize(
    "failure",
    [Transient("gone"), Said(HTTPStatus.TOO_MANY_REQUESTS, {}, None), Said(HTTPStatus.BAD_GATEWAY, {}, None)],
)
def test_what_may_pass_is_not_asked_again_for_each(failure: Exception) -> None:
    provider = Provider(fail=failure)
    got = crowd(provider, *[Changes((record(str(n)),)) for n in range(5)])
    assert [type(error) for error in got] == [type(failure)] * 5
    assert len(provider.calls) == 2
