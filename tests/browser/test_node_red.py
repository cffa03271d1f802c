"""Node-RED behind a secure link, as a browser sees it: dashboards, editor, websockets, rotation, refusal."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect
from support.dashboards import counts, press
from support.nodered import PASSWORD, Plant, Visitor

pytestmark = pytest.mark.xdist_group("browser")  # they share three Node-REDs

Make = Callable[..., Visitor]

FORMS = [(), ("--fragment",)]

ICONS = {"/favicon.ico", "/dashboard/favicon.ico", "/dashboard/favicon.svg"}
"""What a browser, and dashboard 2 whatever path it is under, look for at the root: 404 does no harm."""

DRAW = """made => {
    const source = RED.nodes.import([made]).nodes[0];
    RED.nodes.addLink({source, sourcePort: 0, target: RED.nodes.node("whoami")});
    RED.nodes.dirty(true);
    RED.view.redraw(true);
}"""
"""Does in the editor what a hand would do: a new node, and a wire from it to one that is there."""


def log_in(device: Visitor) -> None:
    device.tab.fill("#node-dialog-login-username", "admin")
    device.tab.fill("#node-dialog-login-password", PASSWORD)
    device.tab.click("#node-dialog-login-submit")
    device.tab.locator("#red-ui-workspace-chart").wait_for()


def asks_for_the_password(device: Visitor) -> list[tuple[int, str]]:
    """Return what Node-RED itself answers to an editor before the login."""
    return [(401, device.plant.url(device.site, f"{device.base}/settings"))]


# -- the pages open from a link -----------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS, ids=["query", "fragment"])
@pytest.mark.parametrize("site", ["nr1", "plant"])
def test_dashboard_1_opens_from_a_link_and_works(visitor: Make, site: str, form: tuple[str, ...]) -> None:
    device = visitor(site, "tablet" if site == "plant" else "phone")
    device.enter(*form)
    counts(device)
    press(device, "dashboard 1")
    assert "#!/0?socketid=" in device.tab.url
    assert any("/ui/socket.io/" in socket.url for socket in device.sockets)
    assert device.reload() == 200
    counts(device)
    assert device.refused == []
    device.picture(f"dashboard-1-{site}")


@pytest.mark.parametrize("form", FORMS, ids=["query", "fragment"])
@pytest.mark.parametrize("site", ["nr2", "plant"])
def test_dashboard_2_opens_from_a_link_and_works(visitor: Make, site: str, form: tuple[str, ...]) -> None:
    device = visitor(site, "tablet" if site == "plant" else "phone")
    device.enter(*form)
    if site == "plant":
        device.open(f"{device.base}/dashboard/")
    device.tab.wait_for_url(re.compile("/dashboard/machine$"))
    counts(device)
    press(device, "dashboard 2")
    assert any("/dashboard/socket.io/" in socket.url for socket in device.sockets)
    assert device.reload() == 200
    counts(device)
    assert device.refused == []
    device.picture(f"dashboard-2-{site}")


@pytest.mark.parametrize("form", FORMS, ids=["query", "fragment"])
@pytest.mark.parametrize("site", ["nr2", "plant"])
def test_the_editor_opens_from_a_link_and_deploys(visitor: Make, site: str, form: tuple[str, ...]) -> None:
    device = visitor(site, "tablet" if site == "plant" else "phone")
    device.enter(*form)
    assert device.open(f"{device.base}/") == 200
    log_in(device)
    device.until(lambda: device.connected)
    name = f"made-in-the-editor-{len(form)}"
    request = {"id": name, "type": "http in", "z": "machine", "url": f"/{name}", "method": "get"}
    request |= {"x": 130, "y": 460 + 40 * len(form), "wires": []}
    device.tab.evaluate(DRAW, request)
    with device.tab.expect_response(lambda answer: answer.request.method == "POST") as deployed:
        device.tab.click("#red-ui-header-button-deploy")
    assert (deployed.value.url, deployed.value.ok) == (device.plant.url(site, f"{device.base}/flows"), True)
    device.until(lambda: device.fetch(f"{device.base}/{name}") == (200, device.person))
    expect(device.tab.locator("#red-ui-editor-shade")).to_be_hidden()
    assert any(socket.url.endswith(f"{device.base}/comms") for socket in device.sockets)
    assert device.refused == asks_for_the_password(device)
    device.picture(f"editor-{site}")


def test_the_flow_is_told_who_it_is_and_not_who_he_says_he_is(visitor: Make) -> None:
    for person in ("phone", "laptop"):
        assert visitor("nr1", person).enter().fetch("/whoami") == (200, person)


def test_under_a_path_nothing_is_asked_for_beside_it(plant: Plant, visitor: Make) -> None:
    device = visitor("plant", "tablet").enter()
    counts(device)
    assert device.open("/shop/dashboard/machine") == 200
    counts(device)
    paths = {line.split()[1] for line in plant.log("plant")}
    assert {path for path in paths if not path.startswith(("/shop/", "/.renewer/"))} <= ICONS


# -- and not without ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/ui/", "/dashboard/", "/ui/socket.io/", "/comms", "/whoami"])
def test_without_a_link_nothing_opens(visitor: Make, path: str) -> None:
    device = visitor("nr1", "phone")
    assert device.open(path) == 403


def test_an_expired_link_is_refused_and_a_fresh_one_mends_the_tab(plant: Plant, visitor: Make) -> None:
    device = visitor("nr1", "phone")
    link = plant.run("link", "nr1", "phone", "--expires", "1s")
    device.until(lambda: device.follow(link) == 403)
    device.picture("expired-link")
    device.enter()
    counts(device)


def test_an_expired_link_with_a_fragment_says_so(plant: Plant, visitor: Make) -> None:
    device, watch = visitor("nr1", "phone"), visitor("nr1", "phone")
    link = plant.run("link", "nr1", "phone", "--expires", "1s", "--fragment")
    later = plant.run("link", "nr1", "phone", "--expires", "1s")
    watch.until(lambda: watch.follow(later) == 403)
    assert device.follow(link) == 200
    expect(device.tab.locator("body")).to_contain_text("not valid or has expired")
    device.picture("expired-link-fragment")
    device.enter("--fragment")  # only what is behind the "#" changes
    counts(device)


@pytest.mark.parametrize("path", ["/ui/", "/dashboard/machine"])
def test_an_expired_session_is_refused_and_a_fresh_link_mends_the_tab(
    plant: Plant, visitor: Make, path: str
) -> None:
    device = visitor("nr1", "phone")
    now = datetime.now(UTC)
    device.take(plant.session("nr1", "phone", now + timedelta(hours=1)))
    assert device.open(path) == 200
    counts(device)
    device.take(plant.session("nr1", "phone", now - timedelta(seconds=1)))
    assert device.reload() == 403
    assert device.open(path) == 403
    device.enter()
    assert device.open(path) == 200
    counts(device)


def test_after_rotate_now_every_session_has_ended(plant: Plant, visitor: Make) -> None:
    device = visitor("nr1", "phone").enter()
    counts(device)
    plant.run("rotate", "nr1", "--now")
    assert device.reload() == 403
    device.enter()
    counts(device)


def test_a_person_who_was_removed_is_refused_and_another_is_not(plant: Plant, visitor: Make) -> None:
    phone, laptop = visitor("nr1", "phone").enter(), visitor("nr1", "laptop").enter()
    counts(phone)
    counts(laptop)
    with plant.configured(lambda text: text.replace('["phone", "laptop"]', '["phone"]')):
        assert laptop.fetch("/whoami")[0] == 403
        assert phone.fetch("/whoami") == (200, "phone")
        laptop.until(lambda: not laptop.connected)
        assert laptop.reload() == 403
        counts(phone)
        assert phone.refused == []


def test_a_page_of_a_sibling_can_neither_post_nor_open_the_websocket(plant: Plant, visitor: Make) -> None:
    own = visitor("nr1", "phone").enter()
    sibling = visitor("nr2", "phone", same=own).enter()
    post = (
        "url => fetch(url, {method: 'POST', mode: 'no-cors', credentials: 'include'})"
        ".then(r => r.type, () => 'refused')"
    )
    socket = (
        "url => new Promise(done => { const s = new WebSocket(url);"
        " s.onopen = () => { s.close(); done('open') }; s.onerror = () => done('refused') })"
    )
    comms = plant.url("nr1", "/comms").replace("https:", "wss:")
    node = plant.nodes["nr1"]
    presses = node.presses.count("HTTP")

    assert own.tab.evaluate(post, plant.url("nr1", "/press")) == "basic"
    assert own.tab.evaluate(socket, comms) == "open"
    own.until(lambda: node.presses.count("HTTP") == presses + 1)

    before = len(plant.log("nr1"))
    assert sibling.tab.evaluate(post, plant.url("nr1", "/press")) == "refused"
    assert sibling.tab.evaluate(socket, comms) == "refused"
    own.until(
        lambda: {"POST /press HTTP/2.0 403", "GET /comms HTTP/1.1 403"} <= set(plant.log("nr1")[before:])
    )
    assert node.presses.count("HTTP") == presses + 1


# -- rotation -----------------------------------------------------------------------------------------------

VISITS = """() => { window.visits = 0; setInterval(async () => {
    try { if ((await fetch('/whoami', {cache: 'no-store'})).ok) window.visits += 1 } catch { }
}, 100) }"""


def test_ten_rotations_pass_under_an_open_dashboard(plant: Plant, visitor: Make) -> None:
    device = visitor("nr1", "phone")
    with plant.configured(lambda text: text.replace('grace = "30d"', 'grace = "2s"')):
        device.enter()
        counts(device)
        device.tab.evaluate(VISITS)
        first = device.cookie
        seen = [first]
        for _ in range(10):
            plant.run("rotate", "nr1")
            device.until(lambda: device.cookie != seen[-1])
            seen.append(device.cookie)
        counts(device)
        assert len({session.partition(".")[0] for session in seen}) == 11
        assert device.tab.evaluate("window.visits") > 10
        assert device.refused == []
        assert [line for line in plant.log("nr1") if line.endswith(" 101")]
        device.picture("after-ten-rotations")

        thief = visitor("nr1", "phone")
        thief.take(first)

        def refused() -> bool:
            plant.run("renew")
            return thief.open("/ui/") == 403

        thief.until(refused)
        assert device.fetch("/whoami") == (200, "phone")


# -- nothing leaks ------------------------------------------------------------------------------------------


def test_no_log_holds_a_token(plant: Plant, visitor: Make) -> None:
    for site, person in (("nr1", "phone"), ("nr2", "phone"), ("plant", "tablet")):
        for form in FORMS:
            device = visitor(site, person).enter(*form)
            counts(device)
            link = plant.run("link", site, person, *form)
            device.tab.goto(link[:-1] + ("A" if link[-1] != "A" else "Q"))
        assert any(line.startswith("GET /") and line.endswith(" 101") for line in plant.log(site))
    token = re.compile(r"\b[a-z0-9]{1,8}\.[a-z0-9-]{1,16}\.[0-9]{10}\b")
    assert token.search(device.cookie)
    logs = plant.logs()
    assert len(logs) == 8
    assert {path: found[0] for path, text in logs.items() if (found := token.search(text))} == {}
    assert "the-second-door" not in "".join(logs.values())
