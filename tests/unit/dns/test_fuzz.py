"""Whatever a name server says, each parser gives a value, a told problem or an error of the program."""

import dns.message
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fakes import FakeClock
from support.fuzz import RECORD, bit_flips, damaged, often

from renewer.dns.propagation import Crowd, NameServer, Watch
from renewer.dns.resolver import _values


class TestDns:
    @often(20)
    @given(st.data())
    def test_any_answer_of_a_name_server_shows_something_or_is_told(self, data: st.DataObject) -> None:
        answer = dns.message.make_response(dns.message.make_query(RECORD.name, "TXT"))
        answer.answer = [dns.rrset.from_text(f"{RECORD.name}.", 60, "IN", "TXT", '"one" "two"', '"\\255"')]
        wire = data.draw(damaged(answer.to_wire()) | bit_flips(answer.to_wire()) | st.binary(max_size=60))
        server = NameServer("ns.example", "127.0.0.1")
        watch = Watch({server: {RECORD.name: {"value"}}}, _values, FakeClock(), Crowd())
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("renewer.dns.resolver._ask", lambda *_: dns.message.from_wire(wire))
            assert "\n" not in watch._lack(server)
