"""Errors, named by what the caller does next."""

import inspect
from typing import Any

import pytest

from renewer.core import errors
from renewer.core.errors import ConfigError, DeployFailed, Fault, OrderFailed, RenewerError, Transient, worst

CODES = {
    "ConfigError": 78,
    "Refused": 1,
    "Declined": 1,
    "Transient": 75,
    "Stopped": 75,
    "LockBusy": 75,
    "LostLease": 75,
    "Outdated": 75,
    "DeployFailed": 1,
    "NotServed": 1,
    "HookFailed": 1,
    "OrderFailed": 1,
    "Unexpected": 70,
    "RenewerError": 1,
}
KINDS: dict[str, Any] = {
    name: kind for name, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)
}


def test_every_error_has_the_exit_code_of_the_contract() -> None:
    assert {name: kind.exit_code for name, kind in KINDS.items()} == CODES


@pytest.mark.parametrize("name", sorted(CODES.keys() - {"OrderFailed"}))
def test_every_error_is_of_the_one_base_with_sentence_and_hint(name: str) -> None:
    extra = {"ours": True} if KINDS[name] is DeployFailed else {}
    error = KINDS[name]("what is wrong", hint="what to do", **extra)
    assert isinstance(error, RenewerError)
    assert (str(error), error.hint) == ("what is wrong", "what to do")
    assert KINDS[name]("x", **extra).hint == ""


def test_an_order_that_failed_says_what_its_cause_says() -> None:
    cause = Transient("what is wrong", hint="what to do")
    error = OrderFailed(cause, "https://ca.example/")
    assert (str(error), error.hint, error.error) == ("what is wrong", "what to do", cause)
    assert error.directory_url == "https://ca.example/"


def test_every_fault_of_a_configuration_is_told_with_its_place() -> None:
    error = ConfigError([Fault("acme.email", "is wrong"), Fault("", "there is more")], hint="mend it")
    assert str(error) == "acme.email: is wrong\nthere is more"
    assert ConfigError("one").faults == (Fault("", "one"),)


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        ([], 0),
        ([0, 0], 0),
        ([0, 75], 75),
        ([75, 1, 0], 1),
        ([1, 78, 75], 78),
        ([78, 70, 1], 70),
    ],
)
def test_the_worst_of_several_stands_for_all(codes: list[int], code: int) -> None:
    assert worst(codes) == code


def test_every_exit_code_has_its_rank() -> None:
    for code in CODES.values():
        assert worst([code, 0]) == code
