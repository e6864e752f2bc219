"""What a person sees who opens examples/flask_events.py in a browser."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import requests
from selenium import webdriver

from tests.browser.tab import PATIENCE, Tab

if TYPE_CHECKING:
    from tests.browser.conftest import Server

pytestmark = pytest.mark.browser

LANES = ("load", "cpu", "memory")


@pytest.fixture
def tab(chromium: webdriver.Chrome, events_server: Server) -> Iterator[Tab]:
    tab = Tab(chromium, events_server.url)
    tab.wait_for("state", "^Open$")
    yield tab
    tab.close()


def drawn(tab: Tab, lane: str) -> int:
    """How many points the curve of a lane has."""
    chart = tab.find(f"{lane}-chart")
    path = chart.find_element("css selector", ".curve").get_attribute("d") or ""
    return len(re.findall(r"[ML][\d.]+,[\d.]+", path))


def test_every_lane_of_the_chart_draws_a_point_for_each_sample(tab: Tab) -> None:
    tab.wait_for("received", r"^([4-9]|\d\d+)$")

    assert all(drawn(tab, lane) >= 4 for lane in LANES)
    assert tab.wait_for("machine", r" on (\d+) cores")[1] == str(os.cpu_count())
    assert float(tab.wait_for("memory", r"^([\d.]+)\s*MiB$")[1]) > 1


def test_a_drop_is_made_good_with_nothing_missing_and_nothing_twice(tab: Tab) -> None:
    for times in ("1", "2"):
        tab.click("drop")
        tab.wait_for("reconnects", f"^{times}$")
        # Told as the first sample comes that is not late; until then the next drop is part of this.
        log = tab.wait_for("log", rf"(Back after [\d.]+ s, \d+ samples late[\s\S]*){{{times}}}")

    assert "twice" not in log.string
    assert min(map(int, re.findall(r"(\d+) samples late", log.string))) > 0
    assert tab.find("missing").text == "0"
    assert tab.find("load-chart").find_elements("css selector", "rect.late")


@pytest.mark.parametrize("width", [1200, 360])
def test_nothing_is_wider_than_the_window(tab: Tab, chromium: webdriver.Chrome, width: int) -> None:
    tab.wait_for("received", r"^[1-9]")
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    assert chromium.execute_script("return document.documentElement.scrollWidth") <= width


def test_dropping_is_no_page_to_open(events_server: Server) -> None:
    assert requests.get(events_server.url + "/drop", timeout=PATIENCE).status_code == 405
