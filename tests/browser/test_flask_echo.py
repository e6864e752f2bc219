"""What a person sees who opens examples/flask_echo.py in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import requests
from selenium import webdriver
from selenium.webdriver.common.keys import Keys

from tests.browser.tab import PATIENCE, Tab

if TYPE_CHECKING:
    from tests.browser.conftest import Server

pytestmark = pytest.mark.browser


@pytest.fixture
def tab(chromium: webdriver.Chrome, server: Server) -> Iterator[Tab]:
    tab = Tab(chromium, server.url)
    tab.wait_for("state", "^Open$")
    yield tab
    tab.close()


@pytest.fixture
def other_tab(chromium: webdriver.Chrome, server: Server, tab: Tab) -> Iterator[Tab]:
    other = Tab(chromium, server.url)
    yield other
    other.close()


def test_typing_shows_the_echo_and_its_round_trip_time(tab: Tab) -> None:
    tab.write("message", "Grüße aus dem Browser")
    tab.click("send")

    row = tab.wait_for("log", r"^Grüße aus dem Browser\s+([\d.]+) ms$")
    shown = tab.wait_for("rtt", r"^([\d.]+)\s*ms$")
    assert float(shown[1]) == float(row[1])
    assert tab.find("rtt-count").text == "1"


def test_measuring_steadily_draws_the_chart(tab: Tab) -> None:
    tab.click("steady")

    tab.wait_for("rtt-count", r"^[5-9]$")
    assert "median" in (tab.find("chart").get_attribute("aria-label") or "")
    assert not tab.find("chart-hint").is_displayed()


def test_64_kib_of_random_octets_come_back_the_same(tab: Tab) -> None:
    tab.click("send-binary")

    tab.wait_for("log", r"^65,536 random octets, every one came back the same")


def test_two_tabs_chat_with_each_other(tab: Tab, other_tab: Tab) -> None:
    tab.wait_for("chat-present", "^2 people present$")
    other_tab.write("chat-name", "Grace" + Keys.ENTER)
    tab.wait_for("chat-log", "^Grace joined$")
    other_tab.wait_for("chat-state", "^Open$")

    other_tab.write("chat-text", "Hello, who is there?" + Keys.ENTER)
    tab.wait_for("chat-log", r"^Grace\nHello, who is there\?$")
    tab.write("chat-text", "Only me" + Keys.ENTER)
    other_tab.wait_for("chat-log", "^Only me$")

    other_tab.click("chat-join")  # it says Leave
    tab.wait_for("chat-log", "^Grace left$")
    tab.wait_for("chat-present", "^1 person present$")


def test_who_left_the_chat_can_join_again(tab: Tab) -> None:
    tab.wait_for("chat-present", "^1 person present$")
    tab.click("chat-join")
    tab.wait_for("chat-log", "^You left the chat$")

    tab.click("chat-join")
    tab.wait_for("chat-present", "^1 person present$")
    tab.wait_for("chat-state", "^Open$")


def test_closing_with_3001_shows_the_code_and_the_reason(tab: Tab) -> None:
    tab.write("close-code", "3001")
    tab.write("close-reason", "lunch")
    tab.click("close")

    tab.wait_for("state", "^Closed$")
    tab.wait_for("close-info", "^Closed with 3001: a code reserved for libraries, “lunch”$")


def test_a_code_that_browsers_may_not_send_leaves_the_connection_open(tab: Tab) -> None:
    tab.write("close-code", "1001")
    tab.click("close")

    tab.wait_for("close-complaint", "^Browsers may send 1000 and 3000 to 4999")
    assert tab.find("state").text == "Open"


def test_reconnecting_after_a_close_echoes_again(tab: Tab) -> None:
    tab.click("close")
    tab.wait_for("close-info", "^Closed with 1000")

    tab.click("reconnect")
    tab.wait_for("state", "^Open$")
    tab.write("message", "back again" + Keys.ENTER)
    tab.wait_for("log", r"^back again\s+[\d.]+ ms$")


def test_killing_the_server_shows_the_closed_state(tab: Tab, server: Server) -> None:
    tab.wait_for("chat-state", "^Open$")

    server.kill()

    tab.wait_for("state", "^Closed$")
    tab.wait_for("close-info", "^Closed with 1006: connection lost")
    tab.wait_for("chat-state", "^Closed$")


@pytest.mark.parametrize("width", [1200, 360])
def test_nothing_is_wider_than_the_window(tab: Tab, chromium: webdriver.Chrome, width: int) -> None:
    tab.find("log")
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    assert chromium.execute_script("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("path", ["echo", "chat"])
def test_a_plain_get_is_told_to_upgrade(server: Server, path: str) -> None:
    answer = requests.get(server.url + "/" + path, timeout=PATIENCE)

    assert answer.status_code == 426
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.text
