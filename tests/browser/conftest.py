"""What the tests with a browser share: the example with its certificate and its Node-REDs, and Chromium."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright
from support.nodered import ARTEFACTS, INSTANCES, NodeRed, Plant, Visitor, hashed, installed
from support.world import NAME, World

CHROMIUM = "/usr/bin/chromium"

QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    """The example, with a certificate, three Node-REDs and an nginx in front of them."""
    home = installed()
    folder = tmp_path_factory.mktemp("plant")
    admin_hash = hashed(home, folder / "admin.hash")
    with ExitStack() as stack:
        nodes = {
            site: stack.enter_context(NodeRed(home, folder / site, admin_hash, base))
            for site, (_, base) in INSTANCES.items()
        }
        (folder / "world").mkdir()
        found = Plant(folder, stack.enter_context(World(folder / "world")), nodes)
        found.set_up()
        for node in nodes.values():
            node.wait()
        yield found


@pytest.fixture(scope="session")
def chromium(plant: Plant) -> Iterator[Browser]:
    assert Path(CHROMIUM).exists(), f"{CHROMIUM} is missing: apt-get install chromium"
    shutil.rmtree(ARTEFACTS, ignore_errors=True)
    ARTEFACTS.mkdir()
    trust = f"--ignore-certificate-errors-spki-list={plant.authority()}"
    resolve = f"--host-resolver-rules=MAP *.{NAME} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, trust, resolve])
        yield browser
        browser.close()


@pytest.fixture
def visitor(plant: Plant, chromium: Browser) -> Iterator[Callable[..., Visitor]]:
    """Make a device for a person of a site, or for another site in the profile of a device that is there."""
    contexts: set[BrowserContext] = set()

    def make(site: str, person: str, same: Visitor | None = None) -> Visitor:
        context = same.context if same else chromium.new_context(viewport={"width": 1000, "height": 640})
        contexts.add(context)
        return Visitor(context, plant, site, person)

    yield make
    for context in contexts:
        context.close()
