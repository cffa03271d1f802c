"""What a device does at a dashboard of the example's Node-RED, and what it then sees there."""

import re

from playwright.sync_api import Page, expect
from support.nodered import Visitor

VALUE, LAST = ".value", ".last-press"


def number(tab: Page) -> int:
    """Return the value that the dashboard shows; 0 before there is one."""
    found = re.search(r"[0-9]+", tab.locator(VALUE).first.inner_text())
    return int(found[0]) if found else 0


def counts(device: Visitor) -> None:
    """Hold that values go on to arrive over a websocket."""
    device.until(lambda: device.connected)
    frames, first = len(device.frames), number(device.tab)
    device.until(lambda: number(device.tab) > first + 1 and len(device.frames) > frames + 1)


def press(device: Visitor, name: str) -> None:
    """Press the dashboard's button and wait for what the flow makes of it."""
    node = device.node
    before = node.presses.count(name)
    device.tab.get_by_role("button", name="Press").click()
    expect(device.tab.locator(LAST).first).to_contain_text(name)
    device.until(lambda: node.presses.count(name) == before + 1)
