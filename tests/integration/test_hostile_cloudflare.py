"""A Cloudflare that is hostile or broken, and an environment that has more of it than the token."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cloudflare._client
import pytest
from support.fakes import FakeClock, Notes
from support.hostile.server import (
    ENDLESS,
    LARGE,
    LITTLE,
    Answer,
    Hostile,
    dripping_head,
    netrc,
    redirect,
    whole,
)

from renewer.core.errors import Transient
from renewer.dns.cloudflare.client import PER_PAGE, Api, client
from renewer.dns.cloudflare.errors import DEPTH, MOST, codes
from renewer.dns.cloudflare.token import OWNERS, PAGES, Token
from renewer.system import http_bounds
from renewer.system.http_bounds import Astray

TOKEN = "a-made-up-token-of-forty-characters-here"


class Cloudflare(Hostile):
    """An API that gives the same answer to everything."""

    def __init__(self, answer: Callable[[], Answer]) -> None:
        super().__init__(lambda *_: answer())

    def ask(self) -> Token:
        connection = client(TOKEN, f"{self.url}/client/v4")
        calls = Api(lambda: connection, FakeClock(), Notes())
        return Token(calls)


def enveloped(result: object, status: str = "200 OK", **more: object) -> Answer:
    good = status == "200 OK"
    return whole({"success": good, "errors": [], "messages": [], "result": result, **more}, None, status)


class TestCloudflare:
    @pytest.mark.parametrize("attack", LARGE)
    def test_the_largest_answer_costs_little(self, attack: str, peak: Callable[[], int]) -> None:
        answer, said = LARGE[attack]
        with Cloudflare(answer) as cloudflare, pytest.raises(Transient, match=said) as caught:
            cloudflare.ask().zones()
        assert caught.value.hint
        assert peak() < LITTLE
        assert cloudflare.sent < LITTLE

    @pytest.mark.usefixtures("impatient")
    @pytest.mark.parametrize("attack", ENDLESS)
    def test_an_answer_without_an_end_has_one(self, attack: str) -> None:
        with (
            Cloudflare(ENDLESS[attack]) as cloudflare,
            pytest.raises(Transient, match=rf"localhost:{cloudflare.port} .*within 0"),
        ):
            cloudflare.ask().zones()

    @pytest.mark.usefixtures("impatient")
    def test_who_never_ends_is_not_asked_for_ever(self) -> None:
        with Cloudflare(dripping_head) as cloudflare:
            ask = cloudflare.ask()
            for _ in range(http_bounds.LEFT + 3):
                with pytest.raises(Transient, match="within 0"):
                    ask.zones()
            assert len(cloudflare.requests) == http_bounds.LEFT

    def test_no_redirect_is_followed(self, inside: Hostile) -> None:
        with (
            Cloudflare(partial(redirect, f"{inside.url}/blind")) as cloudflare,
            pytest.raises(Astray, match=rf"localhost:{cloudflare.port} .*{inside.url}/blind"),
        ):
            cloudflare.ask().zones()

    def test_a_list_of_zones_without_an_end_is_read_to_a_bound(self) -> None:
        zones = [{"id": f"{number:032x}", "name": f"{number}.test"} for number in range(4 * PER_PAGE)]
        info = {
            "page": 1,
            "per_page": PER_PAGE,
            "count": PER_PAGE,
            "total_count": 10**9,
            "total_pages": 10**8,
        }
        with Cloudflare(partial(enveloped, zones, result_info=info)) as cloudflare:
            found = cloudflare.ask().zones()
        assert (len(found), len(cloudflare.requests)) == (PAGES * PER_PAGE, PAGES)

    def test_a_token_is_asked_about_in_so_many_accounts(self) -> None:
        zones = [
            {"id": f"{number:032x}", "name": f"{number}.test", "account": {"id": f"a/../{number}"}}
            for number in range(PER_PAGE - 1)
        ]
        refused = partial(enveloped, None, "401 Unauthorized")
        with Hostile(lambda _, path: enveloped(zones) if "/zones" in path else refused()) as api_server:
            calls = Api(lambda: client(TOKEN, api_server.url), FakeClock(), Notes())
            Token(calls).verdict(())
        asked = [request.split(" ")[1] for request in api_server.requests if "/accounts/" in request]
        assert len(asked) == OWNERS
        assert asked[0] == "/accounts/a%2F..%2F0/tokens/verify"

    @pytest.mark.parametrize("chain", [3000, 50])
    def test_errors_of_errors_are_read_to_a_bound(self, chain: int) -> None:
        errors: list[dict[str, object]] = [{"code": 0, "message": "the last"}]
        for code in range(1, chain):
            errors = [{"code": code, "message": "one more", "error_chain": errors}]
        assert len(codes({"errors": errors})) == DEPTH
        assert len(codes({"errors": [{"code": code, "message": ""} for code in range(chain)]})) == MOST


class TestEnvironment:
    """Nothing in it changes what Cloudflare is sent."""

    VARIABLES = sorted(set(re.findall(r"CLOUDFLARE_[A-Z_]+", Path(cloudflare._client.__file__).read_text())))
    """All that the SDK knows."""

    def test_the_sdk_reads_more_than_the_token(self) -> None:
        assert {"CLOUDFLARE_EMAIL", "CLOUDFLARE_API_KEY", "CLOUDFLARE_CUSTOM_HEADERS"} <= set(self.VARIABLES)

    @pytest.mark.parametrize("variable", [*VARIABLES, "all"])
    def test_only_the_token_is_sent(
        self, variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        headers = "Authorization: Bearer elsewhere\nX-Auth-Email: elsewhere\nX-Elsewhere: yes"
        for name in self.VARIABLES if variable == "all" else [variable]:
            value = headers if name.endswith("HEADERS") else "elsewhere"
            monkeypatch.setenv(name, "http://127.0.0.1:1" if name.endswith("URL") else value)
        for name, value in netrc(tmp_path).items():
            monkeypatch.setenv(name, value)
        before = dict(os.environ)
        with Cloudflare(partial(enveloped, [])) as api_server:
            assert api_server.ask().zones() == ()
        (sent,) = api_server.headers
        assert sent["authorization"] == f"Bearer {TOKEN}"
        assert sent["accept-encoding"] == "identity"
        assert {name for name in sent if name.startswith(("x-", "proxy-", "cookie"))} == set()
        assert "elsewhere" not in str(sent)
        assert dict(os.environ) == before

    def test_the_sdk_s_log_is_not_for_the_environment_to_open(self) -> None:
        log = "logging.getLogger('cloudflare').level, logging.root.handlers"
        loads = "import logging; from renewer.dns.cloudflare.client import client"
        script = f"{loads}; client('x' * 40, 'http://127.0.0.1:1'); print({log})"
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "CLOUDFLARE_LOG": "debug"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == "0 []\n"

    def test_the_proxy_of_the_environment_is_still_taken(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with Cloudflare(partial(enveloped, [])) as proxy, Cloudflare(partial(enveloped, [])) as api_server:
            monkeypatch.setenv("HTTP_PROXY", proxy.url)
            api_server.ask().zones()
            assert [len(one.requests) for one in (proxy, api_server)] == [1, 0]
            monkeypatch.setenv("NO_PROXY", "localhost")
            api_server.ask().zones()
            assert [len(one.requests) for one in (proxy, api_server)] == [1, 1]
