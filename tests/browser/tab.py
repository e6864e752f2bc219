"""A tab of the browser, and what a person sees in it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

PATIENCE = 15.0  # seconds until a sight that never comes is a failure
T = TypeVar("T")


class Tab:
    """One tab of the browser; whatever is asked of it brings it to the front first."""

    def __init__(self, driver: webdriver.Chrome, url: str) -> None:
        driver.switch_to.new_window("tab")
        self._driver = driver
        self._handle = driver.current_window_handle
        driver.get(url)

    def find(self, id: str) -> WebElement:
        self._driver.switch_to.window(self._handle)
        return self._driver.find_element(By.ID, id)

    def click(self, id: str) -> None:
        _until(lambda: self.find(id).is_enabled(), self._driver, f"#{id} never became usable")
        self.find(id).click()

    def write(self, id: str, text: str) -> None:
        """Replace what stands in a field."""
        self.find(id).send_keys(Keys.CONTROL, "a", Keys.NULL, text)

    def wait_for(self, id: str, pattern: str) -> re.Match[str]:
        """Wait until the pattern is found in the element's text."""

        def look() -> re.Match[str] | None:
            return re.search(pattern, self.find(id).text, re.MULTILINE)

        found = _until(look, self._driver, f"#{id} never showed {pattern!r}")
        assert found is not None
        return found

    def close(self) -> None:
        self._driver.switch_to.window(self._handle)
        self._driver.close()
        self._driver.switch_to.window(self._driver.window_handles[0])


def _until(look: Callable[[], T], driver: webdriver.Chrome, complaint: str) -> T:
    return WebDriverWait(driver, PATIENCE, 0.05).until(lambda _: look(), complaint)
