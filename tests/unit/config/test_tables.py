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

from renewer.config import load


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("", "is empty"),
        ("https://example.com", "is a URL or a path; leave only the name of the host"),
        ("example.com/path", "is a URL or a path; leave only the name of the host"),
        ("example.com:443", "has a port; leave it out"),
        ("192.0.2.1", "is an IP address, which the DNS cannot prove; a name is needed"),
        ("2001:db8::1", "is an IP address, which the DNS cannot prove; a name is needed"),
        ("[2001:db8::1]", "is an IP address, which the DNS cannot prove; a name is needed"),
        ("example.com.", "ends with a dot; leave it out"),
        ("bücher.example", "write it in its ASCII form, xn--bcher-kva.example"),
        ("*.BÜCHER.example", "write it in its ASCII form, *.xn--bcher-kva.example"),
        ("straße.example", "write it in its ASCII form (xn--…)"),
        ("ä" * 64 + ".example", "has letters outside ASCII that no domain has"),
        (
            "www.*.example.com",
            "has the star in the middle; the star has to be the whole first label, as in *.",
        ),
        ("*foo.example.com", "has a star among other characters; the star has to be the whole first label"),
        ("foo*.example.com", "has a star among other characters; the star has to be the whole first label"),
        ("*.*.example.com", "has a second star; a wildcard stands for one label only"),
        ("*", "has a star among other characters"),
        ("*.com", "needs at least two labels, as example.com has"),
        ("localhost", "needs at least two labels, as example.com has"),
        ("a..example.com", "has an empty label: two dots in a row, or one at an end"),
        (".example.com", "has an empty label: two dots in a row, or one at an end"),
        ("a_b.example.com", "has an underscore, which no host name has"),
        ("a b.example.com", "has another character than letters, digits, hyphens and dots"),
        ("a@example.com", "has another character than letters, digits, hyphens and dots"),
        ("-a.example.com", "has a label that begins or ends with a hyphen"),
        ("a-.example.com", "has a label that begins or ends with a hyphen"),
        ("a" * 64 + ".example", "has a label longer than 63 characters"),
        (".".join(["a" * 60] * 5), "is longer than 253 characters"),
        ("example.123", "ends in a label of digits only, which no domain does"),
    ],
)
def test_what_is_no_domain_is_told_apart(name: str, sentence: str) -> None:
    assert only(listed("good.example", name)).startswith(f"certificate.c.domains[1]: {sentence}")


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
    assert faults(listed(*names)) == [
        "certificate.c.domains[0]: *.example.com covers a.example.com already; leave a.example.com out",
        "certificate.c.domains[4]: example.com is there twice; leave one of them out",
        "certificate.c.domains[5]: *.example.com is there twice; leave one of them out",
    ]


def test_a_certificate_has_one_to_a_hundred_domains() -> None:
    hundred = [f"h{n}.example.com" for n in range(100)]
    assert len(load.parse(listed(*hundred), "f").specs[0].domains) == 100
    assert only(listed(*hundred, "one.more")).startswith("certificate.c.domains: has 101 names, but")
    assert only(listed()) == "certificate.c.domains: needs at least one entry"


@pytest.mark.parametrize("name", ["a", "example.com", "a-b.c--d", "a" * 200])
def test_names_of_certificates(name: str) -> None:
    assert load.parse(f'[certificate."{name}"]\ndomains = ["a.example"]', "f").specs[0].name == name


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("*.example.com", "name it without the star; the wildcard belongs under domains"),
        ("Example.com", "the name has to be in lower case"),
        ("a" * 201, "the name is longer than 200 characters"),
        ("a..b", "the name may only have letters, digits, single dots and hyphens, and no . or - at an end"),
        ("../etc", "the name may only have"),
        ("a/b", "the name may only have"),
        (".a", "the name may only have"),
        ("a-", "the name may only have"),
        ("", "the name may only have"),
        ("a b", "the name may only have"),
        ("ä", "the name may only have"),
    ],
)
def test_what_names_no_certificate(name: str, sentence: str) -> None:
    written = name if re.fullmatch("[a-z0-9-]+", name) else f'"{name}"'
    fault = only(f'[certificate."{name}"]\ndomains = ["a.example"]')
    assert fault.startswith(f"certificate.{written}: {sentence}")


def certificate(name: str, *names: str) -> str:
    return f'[certificate."{name}"]\ndomains = {list(names)!r}\n'


def test_two_certificates_of_one_name_are_told_by_their_line() -> None:
    twice = certificate("a.b", "a.b") + "\n" + certificate("a.b", "a.c")
    assert only(twice) == 'line 4: [certificate."a.b"] is there for the second time; put the two together'


def test_names_that_differ_in_case_are_one() -> None:
    assert only(certificate("example", "a.b") + certificate("EXAMPLE", "a.c")) == (
        "certificate.EXAMPLE: is example once more, in other letters; the two count as one name"
    )


def test_the_same_set_is_not_ordered_twice() -> None:
    text = certificate("one", "a.b", "A.c") + certificate("two", "a.c", "a.b") + certificate("three", "a.b")
    assert only(text).startswith("certificate.two: has the very domains of one;")


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ("[]", "keys: needs at least one entry"),
        ('["ec256", "ec256"]', "keys[1]: ec256 is there twice; leave one of them out"),
        ('["rsa1024"]', "keys[0]: is none of ec256, ec384, rsa2048, rsa3072, rsa4096"),
        ('"ec256"', "keys: is text, but a list is expected"),
    ],
)
def test_kinds_of_keys(keys: str, fault: str) -> None:
    assert only(f"{listed('a.b')}keys = {keys}") == f"certificate.c.{fault}"


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ('host = "http://a.example"', f"host: {NOT_HTTPS}"),
        ('host = "https://a.example/ui/"', "host: has to end after the name of the host (or its port)"),
        ('host = "https://a.example?"', "host: has to end after the name of the host (or its port)"),
        ('host = "a.example"', f"host: {NOT_A_URL}"),
        ("", "host: is missing"),
        ('home = "//evil.example"', "home: has to be a path such as /ui/, of letters, digits and _ . / - ~"),
        ('home = "ui"', "home: has to be a path such as /ui/, of letters, digits and _ . / - ~"),
        ('home = "/$uri"', "home: has to be a path such as /ui/, of letters, digits and _ . / - ~"),
        ('mode = "cookie"', "mode: is none of session, url"),
        ('people = ["a", "Phone"]', "people[1]: has to be 1 to 16 of a-z, 0-9 and -"),
        ('people = ["a", "a"]', "people[1]: a is there twice; leave one of them out"),
        ('people = ["a"]\nmode = "url"', 'people: belongs to mode = "session"'),
        ('signer_file = "/s"', 'signer_file: belongs to mode = "url"'),
        ('rotate = "weekly"', f"rotate: {NO_DURATION}; or write renewal"),
        ('rotate = "54d"', "session: is shorter than rotate and grace together"),
        ('session = "36d"\nrotate = "30d"', "session: is shorter than rotate and grace together"),
    ],
)
def test_sites(lines: str, fault: str) -> None:
    host = "" if "host" in fault else 'host = "https://a.example"\n'
    assert only(f"[site.a]\n{host}{lines}") == f"site.a.{fault}"


@pytest.mark.parametrize(
    "lines", ['rotate = "53d"', 'rotate = "renewal"\nsession = "8d"', 'mode = "url"\nrotate = "90d"']
)
def test_sites_whose_durations_fit(lines: str) -> None:
    load.parse(f'[site.a]\nhost = "https://a.example"\n{lines}', "f")


@pytest.mark.parametrize("name", ["Nodered", "node-red", "a" * 13, ""])
def test_what_names_no_site(name: str) -> None:
    fault = only(f'[site."{name}"]\nhost = "https://a.example"')
    assert fault.endswith("the name has to be 1 to 12 of a-z and 0-9")
