"""What CAA records allow, by the words of RFC 8659 and RFC 8657."""

import pytest
from support.facts import missing

from renewer.check import caa
from renewer.check.caa import Applicant, Property

ACCOUNT = "https://ca.example/account/1"
US = Applicant(frozenset({"letsencrypt.org"}), ACCOUNT)


@pytest.mark.parametrize(
    "texts",
    [
        [],
        ['0 iodef "mailto:ops@example.com"'],
        ['0 issue "letsencrypt.org"'],
        ["0 issue letsencrypt.org"],
        ['0 ISSUE "LetsEncrypt.org."'],
        ['128 issue "letsencrypt.org"'],
        ['0 issue "digicert.com"', '0 issue "letsencrypt.org"'],
        ['0 issue " letsencrypt.org ; policy=ev "'],
        [f'0 issue "letsencrypt.org; accounturi={ACCOUNT}"'],
        ['0 issue "letsencrypt.org; validationmethods=http-01,dns-01"'],
        ['0 issue "letsencrypt.org; accounturi=https://x/2"', '0 issue "letsencrypt.org"'],
        ['0 issuewild "digicert.com"'],
        ['0 tbs "unknown"'],
    ],
)
def test_what_lets_it_issue_for_a_name(texts: list[str]) -> None:
    assert caa.refusal(caa.read(texts), US, wildcard=False) == ""


@pytest.mark.parametrize(
    ("texts", "facts"),
    [
        (['0 issue ";"'], ["nobody"]),
        (['0 issue ""'], ["nobody"]),
        (
            ['0 issue "digicert.com"', '0 issue "a.example; x=y"'],
            ["a.example, digicert.com"],
        ),
        (['0 issue "letsencrypt.org.evil.example"'], ["letsencrypt.org.evil.example"]),
        (
            ['0 issue "letsencrypt.org; accounturi=https://x/2"', '0 issue "digicert.com"'],
            ["letsencrypt.org", "https://x/2"],
        ),
        (
            ['0 issue "letsencrypt.org; validationmethods=http-01"'],
            ["letsencrypt.org", "http-01", "dns-01"],
        ),
        (['128 tbs "x"', '0 issue "letsencrypt.org"'], ["critical", "tbs"]),
    ],
)
def test_what_forbids_it_to_issue_for_a_name(texts: list[str], facts: list[str]) -> None:
    assert missing(caa.refusal(caa.read(texts), US, wildcard=False), *facts) == []


@pytest.mark.parametrize(
    ("texts", "allowed"),
    [
        (['0 issue "letsencrypt.org"'], True),
        (['0 issue "digicert.com"'], False),
        (['0 issue "digicert.com"', '0 issuewild "letsencrypt.org"'], True),
        (['0 issue "letsencrypt.org"', '0 issuewild ";"'], False),
    ],
)
def test_a_wildcard_has_records_of_its_own(texts: list[str], allowed: bool) -> None:  # noqa: FBT001
    assert (caa.refusal(caa.read(texts), US, wildcard=True) == "") == allowed


def test_an_account_that_is_not_there_yet_is_not_the_one_that_is_named() -> None:
    records = caa.read([f'0 issue "letsencrypt.org; accounturi={ACCOUNT}"'])
    told = caa.refusal(records, Applicant(US.identities), wildcard=False)
    assert caa.ACCOUNT in told


def test_it_is_looked_for_from_the_name_up() -> None:
    assert list(caa.climb("*.a.example.com")) == ["a.example.com", "example.com", "com"]


def test_what_is_no_record_counts_as_none() -> None:
    assert caa.read(["nonsense", '0 issue "x.example"']) == [Property(0, "issue", "x.example")]
