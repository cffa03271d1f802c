"""What is shown of a hook's output: nothing that it alone should know, and all that a person needs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renewer.notify.redaction import SHOWN, last_line

KEY = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIDtPz1c6s0sdA3RjYnYtY2E=\n-----END EC PRIVATE KEY-----"
HEX = "430aafa1132239b070cd5731573aa1ee1e9ae2e8b0fdec781455b412146b9867"
WORD = "a-made-up-t0ken-of-forty-characters-abcd"
MIXED = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY22"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
SLACK = "https://hooks.example/services/T000/B000/XXXX"

HIDDEN = {
    f"got {KEY}": "got [a private key]",
    KEY[5:].partition("\n")[2]: "[a private key]",
    KEY[: len(KEY) // 2]: "[a private key]",
    f"token={HEX[:40]}": "token=[…]",
    f"Bearer {WORD}": "Bearer […]",
    f"it refuses {WORD}": "it refuses […]",
    f"bad token {WORD}.": "bad token […].",
    f"bad token {MIXED}.": "bad token […].",
    f"bad token {MIXED}, try again": "bad token […], try again",
    f"X-Key={MIXED}...": "X-Key=[…]...",
    f"no such user: {JWT}": "no such user: […]",
    f"expired: {JWT}.": "expired: […].",
    "SG.ngeVfQFYQlKU0ufo8x5d1A.TwL2iGABf9DHoTf09kqeF8tAmbihYzrnopKc1s5cr": "[…]",
    f"POST {SLACK}: 404": "POST https://hooks.example/services/[…]: 404",
    f"see {SLACK}.": "see https://hooks.example/services/[…].",
    "https://api.example/bot123456:ABC-DEF1234/send": "https://api.example/[…]",
    "https://hc.example/ping/8b1b2a4e-6d6f-4d1e-9a55-0c6d5a1f7c11": "https://hc.example/ping/[…]",
    "https://me:hunter2@a.example/x?key=y": "https://[…]@a.example/x?[…]",
    "tgram://123456789:abcdefg/12315544": "tgram://[…]",
    "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazk": "slack://[…]",
    "mailtos://user:pass@mail.example": "mailtos://[…]@mail.example",
    "mysql --password=hunter2 failed": "mysql --password=[…] failed",
    "bell \x1b[31m": "bell",
}

SHOWN_WHOLE = [
    "",
    "Error: the port is taken",
    "warning: /usr/lib/postfix/sbin/postfix-script-of-some-length-9: no such file",
    "cannot open state/certificates/example.com/g000003/fullchain.pem.",
    "/nix/store/0c5b8vw40dy178xlpddw65q9gf1h2186-nginx-1.26/conf: no",
    "--config=/etc/some-program/conf.d/really-long-name-2.conf is empty",
    f"fingerprint {HEX} is not served",
    f"SHA256 Fingerprint={HEX}",
    f"sha256:{HEX}",
    "SHA256:uNiVztksCsDhcc0u9e8BgrJXVGDM/0a5k7pBdV0r9mY is not known",
    "SHA1 Fingerprint=43:0A:AF:A1:13:22:39:B0:70:CD:57:31:57:3A:A1:EE:1E:9A:E2:E8",
    "serial 03a1b2c3d4e5f60718293a4b5c6d7e8f9012",
    "postfix@a-very-long-host-name-of-number-0123.some-provider.example.com: refused",
    "see https://www.example.com/docs/v2/errors.html for help",
    "no such socket: unix:///run/user/1000/some-program-4/socket9",
    "Job for postfix@-.service failed because the control process exited with error code.",
    "2026-11-25T03:10:46.123456Z reload failed",
]


@pytest.mark.parametrize("output", HIDDEN)
def test_what_looks_like_a_secret_is_hidden(output: str) -> None:
    assert last_line(output) == HIDDEN[output]


@pytest.mark.parametrize("output", SHOWN_WHOLE)
def test_what_a_person_needs_is_shown(output: str) -> None:
    assert last_line(f"the first line\n{output}\n\n" if output else "") == output


def test_a_long_line_is_cut() -> None:
    assert len(last_line("so many words " * 100)) == SHOWN + 1


@given(st.text(), st.text())
def test_no_part_of_a_key_is_ever_shown(before: str, after: str) -> None:
    assert "MHcCAQEEIDtPz1c6s0sdA3RjYnYtY2E=" not in last_line(f"{before}{KEY}{after}")
