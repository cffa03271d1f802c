"""The site with the dashboards alone: both work in a browser, and nothing else of Node-RED can be reached."""

import json
import re
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPSConnection
from urllib.parse import urlencode

import pytest
from support.dashboards import counts, press
from support.nodered import PASSWORD, NodeRed, Plant, Visitor
from support.world import careless

pytestmark = pytest.mark.xdist_group("browser")  # they share the Node-REDs with test_node_red.py

EDITOR = """
    / /flows /flows/state /flow /flow/machine /nodes /nodes/node-red /nodes/messages /settings /settings/user
    /auth/login /auth/token /auth/revoke /comms /library/local/x /inject/every-second /debug/view/view.html
    /debug/count/enable /context/global /icons /icons/node-red/alert.svg /locales/editor /red/red.min.js
    /vendor/vendor.js /theme /credentials/x/y /diagnostics /plugins /plugins/messages /resources/x/y
    /uisettings /projects /ui_base/js/x.js /udp-ports/1 /types/node.d.ts /whoami /press
"""
"""The paths of the editor, of its API and of its files, and what the flows serve beside the dashboards."""

BESIDE = """
    /dashboard/api/v1/base/flows /dashboard/api/v1/base/edit/page /dashboard/chart/x/clear
    /dashboard/_debug/datastore/d2-value /dashboard/_debug/statestore/d2-value
"""
"""What is the editor's although it is below a dashboard's path."""

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH")

SHOWN = re.compile(
    r"(GET|HEAD) /(ui|dashboard)/((?!_)\S*)?$|GET /dashboard/_setup$|(GET|POST) /(ui|dashboard)/socket\.io/"
)
"""What may reach Node-RED."""

SOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "x3JJHMbDL1EzLkh9GBhXDw==",
}


SPELLINGS = """
    {path} {upper} {title} {path}/ {path};x {path}?x {path}%20 {path}/. /{path} //{path} /.{path} /..{path}
    /x/..{path} {path}/../ui/ /ui/..{path} /ui/%2e%2e{path} /ui%2f..{path} /ui/..%2f{rest} /ui/..;{path}
    /ui/../ui/..{path} /ui/socket.io/../..{path} /dashboard/socket.io/../..{path} /UI/..{path}
    /dashboard/..{path} /dashboard/%2E%2E{path} /ui/..%5c{rest} {path}/..%2fui%2f {path}%2f..%2fdashboard%2f
    {path}%2f%2e%2e%2fui%2fsocket.io%2f /ui/%252e%252e{path} /ui%00{path} /ui{path} /ui/x{path} /#/ui/{path}
    https://panel.example.com{path} http://x{path} /{coded} /{coded_upper}
"""
"""How Express, nginx or somebody else may take a path for the same."""


def spellings(paths: str) -> Iterator[str]:
    for path in paths.split():
        rest = path[1:]
        coded = f"%{ord(rest[0]):02x}{rest[1:]}" if rest else ""
        forms = {"path": path, "rest": rest, "upper": path.upper(), "title": path.title()}
        forms |= {"coded": coded, "coded_upper": coded.upper()}
        yield from (spelling.format(**forms) for spelling in SPELLINGS.split())


def logged_in(node: NodeRed) -> dict[str, str]:
    """Return what the editor's own password is worth: the second door, beside which the first has to hold."""
    login = {"client_id": "node-red-editor", "grant_type": "password", "scope": "*"}
    login |= {"username": "admin", "password": PASSWORD}
    url = f"http://127.0.0.1:{node.port}/auth/token"
    with urllib.request.urlopen(url, urlencode(login).encode(), timeout=30) as answer:
        return {"Authorization": f"Bearer {json.load(answer)['access_token']}"}


def flows(node: NodeRed, login: dict[str, str]) -> str:
    """Return its flows, asked for without nginx."""
    with closing(HTTPConnection("127.0.0.1", node.port, timeout=30)) as connection:
        connection.request("GET", "/flows", headers=login)
        return connection.getresponse().read().decode()


class Holder:
    """Who has a session of a site, and the editor's password."""

    def __init__(self, plant: Plant, site: str, person: str) -> None:
        self.node = plant.nodes["nr1"]
        session = plant.session(site, person, datetime.now(UTC) + timedelta(minutes=10))
        self.headers = {"Host": f"{site}.example.com", "Cookie": f"__Host-rn-{site}={session}"}
        self.headers |= logged_in(self.node)
        self.connection = HTTPSConnection("127.0.0.1", plant.port, context=careless(), timeout=30)

    def ask(self, method: str, path: str, headers: dict[str, str] | None = None) -> int:
        self.connection.request(method, path, headers=self.headers | (headers or {}))
        answer = self.connection.getresponse()
        answer.read()
        return answer.status


@pytest.mark.parametrize("path", ["/ui/", "/dashboard/machine"])
def test_both_dashboards_work(visitor: Callable[..., Visitor], path: str) -> None:
    device = visitor("panel", "wall").enter()
    assert device.open(path) == 200
    counts(device)
    press(device, "dashboard 1" if path == "/ui/" else "dashboard 2")
    assert device.reload() == 200
    counts(device)
    assert device.refused == []
    device.picture(f"panel-{path.split('/')[1]}")


def test_its_root_leads_to_the_dashboard_and_its_editor_is_not_there(visitor: Callable[..., Visitor]) -> None:
    device = visitor("panel", "wall").enter()
    assert device.open("/red/red.min.js") == 403
    assert device.open("/settings") == 403


def test_no_spelling_of_the_editor_reaches_node_red(plant: Plant) -> None:
    owner, guest = Holder(plant, "nr1", "phone"), Holder(plant, "panel", "guest")
    with closing(owner.connection), closing(guest.connection):
        assert owner.ask("GET", "/FLOWS") == 200  # as /flows: or the cases would prove nothing
        before, node = flows(guest.node, guest.headers), guest.node
        known = len(node.seen)
        for spelling in spellings(EDITOR + BESIDE):
            for method in METHODS:
                guest.ask(method, spelling)
        reached = set(node.seen[known:])
        assert reached, "an odd way to ask for a dashboard is none to ask for the editor"
        assert sorted(line for line in reached if not SHOWN.match(line)) == []
        assert flows(node, guest.headers) == before


def test_no_spelling_opens_the_editors_websocket(plant: Plant) -> None:
    owner, guest = Holder(plant, "nr1", "phone"), Holder(plant, "panel", "guest")
    with closing(owner.connection), closing(guest.connection):
        assert owner.ask("GET", "/comms", SOCKET) == 101
        for spelling in spellings("/comms"):
            assert guest.ask("GET", spelling, SOCKET) != 101, spelling
            guest.connection.close()
