"""Whatever certificates the CA sends, they are read or refused."""

import base64
import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fakes import DAY, NOW
from support.fuzz import CHAIN, INTERMEDIATE, KEPT, KEY, LEAF, NAME, bit_flips, damaged, noise, often

from renewer.core import x509 as keys
from renewer.core.errors import Refused
from renewer.core.model import KeyKind, Pair


def pem(der: bytes) -> str:
    return f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(der).decode()}-----END CERTIFICATE-----\n"


pems = (
    st.text()
    | damaged(CHAIN.encode()).map(lambda data: data.decode(errors="replace"))
    | bit_flips(LEAF).map(lambda der: pem(der) + pem(INTERMEDIATE))
    | bit_flips(INTERMEDIATE).map(lambda der: pem(LEAF) + pem(der))
    | noise.map(pem)
)


# A serial number that is not positive: a warning of the library today, a refusal of it tomorrow.
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
class TestPem:
    @often(40)
    @given(pems)
    def test_what_the_ca_sends_is_a_pair_or_refused(self, chain: str) -> None:
        with suppress(Refused):
            keys.check_pair(keys.read_pair(KeyKind.EC256, KEY, chain), [NAME], NOW)

    @often(10)
    @given(st.text() | damaged(KEY.encode()).map(lambda data: data.decode(errors="replace")))
    def test_a_key_that_cannot_be_read_is_refused(self, key: str) -> None:
        with suppress(Refused):
            keys.check_pair(
                Pair(KeyKind.EC256, key, CHAIN, (), NOW, NOW + DAY, KEPT.fingerprint), [NAME], NOW
            )

    @often(10)
    @given(pems)
    def test_a_fingerprint_is_told_or_refused(self, chain: str) -> None:
        with suppress(Refused):
            assert re.fullmatch("[0-9a-f]{64}", keys.fingerprint(chain))
            keys.leaf(chain)
