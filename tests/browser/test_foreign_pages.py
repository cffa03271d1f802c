"""What a page of a sibling sub-domain can do with a session, as a real browser lets it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from support.nodered import Plant, Visitor

pytestmark = pytest.mark.xdist_group("browser")  # they share three Node-REDs

Make = Callable[..., Visitor]

LOADS = """([kind, url]) => new Promise(done => {
    const made = document.createElement(kind);
    made.onload = () => done("loaded");
    made.onerror = () => done("failed");
    made.src = url;
    document.body.append(made);
})"""
"""Embeds something, and tells what became of it."""

FETCH = "url => fetch(url, {mode: 'no-cors', credentials: 'include'}).then(r => r.type, () => 'failed')"

WAYS = {
    "GET": "<a id=go href='{url}'>Go</a>",
    "POST": "<form method=post action='{url}'><button id=go>Go</button></form>",
}
"""What leads a person from one page to another."""


@pytest.fixture
def pages(visitor: Make) -> tuple[Visitor, Visitor]:
    """The site's own page and one of its sibling, in one profile; both have a session."""
    own = visitor("nr1", "phone").enter()
    return own, visitor("nr2", "phone", same=own).enter()


def lead(device: Visitor, url: str, method: str = "GET") -> None:
    """Let the page that is open lead to another one."""
    device.tab.evaluate("text => { document.body.innerHTML = text }", WAYS[method].format(url=url))
    device.tab.locator("#go").click()


def since(plant: Plant, count: int) -> list[str]:
    return plant.log("nr1")[count:]


def test_it_cannot_make_the_site_do_anything(plant: Plant, pages: tuple[Visitor, Visitor]) -> None:
    own, sibling = pages
    before = len(plant.log("nr1"))
    assert sibling.tab.evaluate(FETCH, plant.url("nr1", "/whoami?fetch")) == "failed"
    assert sibling.tab.evaluate(LOADS, ["img", plant.url("nr1", "/whoami?img")]) == "failed"
    assert sibling.tab.evaluate(LOADS, ["script", plant.url("nr1", "/ui/js/app.min.js")]) == "failed"
    sibling.tab.evaluate(LOADS, ["iframe", plant.url("nr1", "/?iframe")])
    own.until(lambda: len([line for line in since(plant, before) if line.endswith(" 403")]) == 4)
    asked = {line.split()[1] for line in since(plant, before) if line.endswith(" 403")}
    assert asked == {"/whoami", "/ui/js/app.min.js", "/"}
    assert own.fetch("/whoami") == (200, "phone")


def test_it_cannot_log_anybody_out(plant: Plant, pages: tuple[Visitor, Visitor]) -> None:
    own, sibling = pages
    session = own.cookie
    assert sibling.tab.evaluate(LOADS, ["img", plant.url("nr1", "/.renewer/leave")]) == "failed"
    assert own.cookie == session
    assert own.fetch("/.renewer/leave")[0] == 204
    assert own.fetch("/whoami")[0] == 403


def test_it_cannot_let_anybody_in(plant: Plant, visitor: Make) -> None:
    own = visitor("nr1", "phone")
    sibling = visitor("nr2", "phone", same=own).enter()
    link = plant.run("link", "nr1", "phone")
    assert sibling.tab.evaluate(LOADS, ["img", link]) == "failed"
    sibling.tab.evaluate(LOADS, ["iframe", link])
    sibling.tab.evaluate(LOADS, ["iframe", plant.run("link", "nr1", "phone", "--fragment")])
    assert [one["name"] for one in own.context.cookies(plant.url("nr1"))] == []


def test_it_cannot_post_by_leading_there(plant: Plant, pages: tuple[Visitor, Visitor]) -> None:
    own, sibling = pages
    node = plant.nodes["nr1"]
    presses = node.presses.count("HTTP")
    lead(sibling, plant.url("nr1", "/press"), "POST")
    own.until(lambda: "POST /press HTTP/2.0 403" in plant.log("nr1"))
    assert node.presses.count("HTTP") == presses


@pytest.mark.parametrize("path", ["/ui/", "/dashboard/machine", "/"])
def test_its_links_open_the_site(plant: Plant, pages: tuple[Visitor, Visitor], path: str) -> None:
    _, sibling = pages
    url = plant.url("nr1", path)
    with sibling.tab.expect_response(lambda answer: answer.url == url) as opened:
        lead(sibling, url)
    assert opened.value.status == 200
    assert opened.value.headers["cache-control"].endswith("private")
    sibling.tab.wait_for_load_state()
    assert [one for one in sibling.answers if one[0] == 403] == []


@pytest.mark.parametrize("form", [(), ("--fragment",)], ids=["query", "fragment"])
def test_a_link_that_is_clicked_on_it_lets_in(plant: Plant, visitor: Make, form: tuple[str, ...]) -> None:
    own = visitor("nr1", "phone")
    sibling = visitor("nr2", "phone", same=own).enter()
    lead(sibling, plant.run("link", "nr1", "phone", *form))
    sibling.tab.wait_for_url(plant.url("nr1", "/ui/") + "**")
    assert own.cookie.partition(".")[2].startswith("phone.")


def test_the_site_s_own_pages_embed_each_other(plant: Plant, pages: tuple[Visitor, Visitor]) -> None:
    own, _ = pages
    assert own.tab.evaluate(LOADS, ["iframe", plant.url("nr1", "/whoami")]) == "loaded"
    own.until(lambda: any("phone" in frame.content() for frame in own.tab.frames[1:]))


WORKER = (
    "self.addEventListener('install', () => self.skipWaiting());"
    "self.addEventListener('activate', event => event.waitUntil(self.clients.claim()));"
    "self.addEventListener('fetch', event => event.respondWith(fetch(event.request)))"
)
"""A service worker that hands every request on, as one does that has nothing of it."""


@contextmanager
def with_service_worker(plant: Plant) -> Iterator[None]:
    """Let dashboard 2 install this service worker in place of its own, which the example refuses."""
    path = plant.conf("nr1")
    before = path.read_text()
    place = "location = /dashboard/sw.js {\n        return 404;"
    assert place in before
    worker = place.replace("return 404;", f'default_type text/javascript;\n return 200 "{WORKER}";')
    path.write_text(before.replace(place, worker))
    plant.world.nginx.deployer().apply([])
    try:
        yield
    finally:
        path.write_text(before)
        plant.world.nginx.deployer().apply([])


def test_a_link_opens_what_a_service_worker_hands_on(plant: Plant, visitor: Make) -> None:
    with with_service_worker(plant):
        own = visitor("nr1", "phone").enter()
        url = plant.url("nr1", "/dashboard/machine")
        assert own.open("/dashboard/machine") == 200
        own.tab.evaluate("navigator.serviceWorker.ready.then(() => null)")
        sibling = visitor("nr2", "phone", same=own).enter()
        own.tab.close()
        with sibling.tab.expect_response(lambda answer: answer.url == url) as opened:
            lead(sibling, url)
        assert (opened.value.status, opened.value.from_service_worker) == (200, True)
        sibling.tab.locator(".value").first.wait_for()
        assert [one for one in sibling.answers if one[0] == 403] == []
