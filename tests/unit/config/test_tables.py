"""The tables of certificates and sites: their names, domains, keys and durations."""

import re

import pytest
from support.configuration import (
    NO_DURATION,
    NOT_A_URL,
    NOT_HTTPS,
    faults,
    listed,
    only,
)
from support.facts import missing

from renewer.config import load


@pytest.mark.parametrize(
    ("name", "fact"),
    [
        ("", "empty"),
        ("https://example.com", "URL or a path"),
        ("example.com/path", "URL or a path"),
        ("example.com:443", "port"),
        ("192.0.2.1", "IP address"),
        ("2001:db8::1", "IP address"),
        ("[2001:db8::1]", "IP address"),
        ("example.com.", "ends with a dot"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("*.BÜCHER.example", "*.xn--bcher-kva.example"),
        ("straße.example", "xn--…"),
        ("ä" * 64 + ".example", "ASCII"),
        ("www.*.example.com", "first label"),
        ("*foo.example.com", "first label"),
        ("foo*.example.com", "first label"),
        ("*.*.example.com", "second star"),
        ("*", "first label"),
        ("*.com", "two labels"),
        ("localhost", "two labels"),
        ("a..example.com", "empty label"),
        (".example.com", "empty label"),
        ("a_b.example.com", "underscore"),
        ("a b.example.com", "letters, digits, hyphens and dots"),
        ("a@example.com", "letters, digits, hyphens and dots"),
        ("-a.example.com", "hyphen"),
        ("a-.example.com", "hyphen"),
        ("a" * 64 + ".example", "63"),
        (".".join(["a" * 60] * 5), "253"),
        ("example.123", "digits only"),
    ],
)
def test_what_is_no_domain_is_told_apart(name: str, fact: str) -> None:
    fault = only(listed("good.example", name))
    assert (fault.place, missing(fault.message, fact)) == ("certificate.c.domains[1]", [])


@pytest.mark.parametrize(
    "name",
    [
        "example.com",
        "*.example.com",
        "xn--bcher-kva.example",
        "1.2.example",
        "a--b.example",
        "a" * 63 + ".example",
    ],
)
def test_domains(name: str) -> None:
    assert load.parse(listed(name.upper()), "f").specs[0].domains == (name,)


def test_domains_have_to_go_together() -> None:
    names = [
        "a.example.com",
        "*.Example.com",
        "example.com",
        "a.b.example.com",
        "EXAMPLE.com",
        "*.example.com",
    ]
    found = faults(listed(*names))
    assert [one.place for one in found] == [f"certificate.c.domains[{number}]" for number in (0, 4, 5)]
    covered, twice, again = (one.message for one in found)
    assert missing(covered, "*.example.com", "a.example.com") == []
    assert missing(twice, "example.com", "twice") == []
    assert missing(again, "*.example.com", "twice") == []


def test_a_certificate_has_one_to_a_hundred_domains() -> None:
    hundred = [f"h{n}.example.com" for n in range(100)]
    assert len(load.parse(listed(*hundred), "f").specs[0].domains) == 100
    for text, facts in ((listed(*hundred, "one.more"), ["101", "100"]), (listed(), ["at least one"])):
        fault = only(text)
        assert (fault.place, missing(fault.message, *facts)) == ("certificate.c.domains", [])


@pytest.mark.parametrize("name", ["a", "example.com", "a-b.c--d", "a" * 200])
def test_names_of_certificates(name: str) -> None:
    assert load.parse(f'[certificate."{name}"]\ndomains = ["a.example"]', "f").specs[0].name == name


@pytest.mark.parametrize(
    ("name", "fact"),
    [
        ("*.example.com", "star"),
        ("Example.com", "lower case"),
        ("a" * 201, "200"),
        ("a..b", "letters, digits, single dots and hyphens"),
        ("../etc", "letters, digits, single dots and hyphens"),
        ("a/b", "letters, digits, single dots and hyphens"),
        (".a", "letters, digits, single dots and hyphens"),
        ("a-", "letters, digits, single dots and hyphens"),
        ("", "letters, digits, single dots and hyphens"),
        ("a b", "letters, digits, single dots and hyphens"),
        ("ä", "letters, digits, single dots and hyphens"),
    ],
)
def test_what_names_no_certificate(name: str, fact: str) -> None:
    written = name if re.fullmatch("[a-z0-9-]+", name) else f'"{name}"'
    fault = only(f'[certificate."{name}"]\ndomains = ["a.example"]')
    assert (fault.place, missing(fault.message, fact)) == (f"certificate.{written}", [])


def certificate(name: str, *names: str) -> str:
    return f'[certificate."{name}"]\ndomains = {list(names)!r}\n'


def test_two_certificates_of_one_name_are_told_by_their_line() -> None:
    twice = certificate("a.b", "a.b") + "\n" + certificate("a.b", "a.c")
    assert missing(str(only(twice)), "line 4", '[certificate."a.b"]') == []


def test_names_that_differ_in_case_are_one() -> None:
    fault = only(certificate("example", "a.b") + certificate("EXAMPLE", "a.c"))
    assert (fault.place, missing(fault.message, "example")) == ("certificate.EXAMPLE", [])


def test_the_same_set_is_not_ordered_twice() -> None:
    text = certificate("one", "a.b", "A.c") + certificate("two", "a.c", "a.b") + certificate("three", "a.b")
    fault = only(text)
    assert (fault.place, missing(fault.message, "domains", "one")) == ("certificate.two", [])


@pytest.mark.parametrize(
    ("keys", "place", "facts"),
    [
        ("[]", "keys", ["at least one"]),
        ('["ec256", "ec256"]', "keys[1]", ["ec256", "twice"]),
        ('["rsa1024"]', "keys[0]", ["ec256, ec384, rsa2048, rsa3072, rsa4096"]),
        ('"ec256"', "keys", ["text", "list"]),
    ],
)
def test_kinds_of_keys(keys: str, place: str, facts: list[str]) -> None:
    fault = only(f"{listed('a.b')}keys = {keys}")
    assert (fault.place, missing(fault.message, *facts)) == (f"certificate.c.{place}", [])


@pytest.mark.parametrize(
    ("lines", "place", "facts"),
    [
        ('host = "http://a.example"', "host", [NOT_HTTPS]),
        ('host = "https://a.example/ui/"', "host", ["host name", "port"]),
        ('host = "https://a.example?"', "host", ["host name", "port"]),
        ('host = "a.example"', "host", [NOT_A_URL]),
        ("", "host", ["missing"]),
        ('home = "//evil.example"', "home", ["/ui/", "letters, digits and _ . / - ~"]),
        ('home = "ui"', "home", ["/ui/", "letters, digits and _ . / - ~"]),
        ('home = "/$uri"', "home", ["/ui/", "letters, digits and _ . / - ~"]),
        ('mode = "cookie"', "mode", ["session, url"]),
        ('people = ["a", "Phone"]', "people[1]", ["1 to 16", "a-z, 0-9 and -"]),
        ('people = ["a", "a"]', "people[1]", ["twice"]),
        ('people = ["a"]\nmode = "url"', "people", ['mode = "session"']),
        ('signer_file = "/s"', "signer_file", ['mode = "url"']),
        ('rotate = "weekly"', "rotate", [NO_DURATION, "renewal"]),
        ('rotate = "54d"', "session", ["shorter", "rotate", "grace"]),
        ('session = "36d"\nrotate = "30d"', "session", ["shorter", "rotate", "grace"]),
    ],
)
def test_sites(lines: str, place: str, facts: list[str]) -> None:
    host = "" if place == "host" else 'host = "https://a.example"\n'
    fault = only(f"[site.a]\n{host}{lines}")
    assert (fault.place, missing(fault.message, *facts)) == (f"site.a.{place}", [])


@pytest.mark.parametrize(
    "lines", ['rotate = "53d"', 'rotate = "renewal"\nsession = "8d"', 'mode = "url"\nrotate = "90d"']
)
def test_sites_whose_durations_fit(lines: str) -> None:
    load.parse(f'[site.a]\nhost = "https://a.example"\n{lines}', "f")


@pytest.mark.parametrize("name", ["Nodered", "node-red", "a" * 13, ""])
def test_what_names_no_site(name: str) -> None:
    fault = only(f'[site."{name}"]\nhost = "https://a.example"')
    assert missing(fault.message, "1 to 12", "a-z and 0-9") == []
