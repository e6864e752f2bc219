"""Take the picture of the demo that README.rst shows: `make pictures`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from selenium.webdriver.common.keys import Keys

from tests.browser.conftest import ROOT, Server, open_chromium
from tests.browser.tab import Tab

PICTURE = ROOT / "docs" / "pictures" / "demo.png"
WIDTH, HEIGHT = 1200, 1020


def main() -> None:
    server = Server("flask_echo.py")
    with tempfile.TemporaryDirectory() as folder:
        driver = open_chromium(Path(folder), f"--window-size={WIDTH},{HEIGHT}")
        try:
            tab, other = Tab(driver, server.url), Tab(driver, server.url)
            other.write("chat-name", "Grace" + Keys.ENTER)
            tab.write("chat-name", "Ada" + Keys.ENTER)
            tab.wait_for("chat-present", "^2 people present$")
            other.write("chat-text", "Hello, who is there?" + Keys.ENTER)
            tab.write("chat-text", "Just me, and no event loop" + Keys.ENTER)
            tab.write("message", "Grüße" + Keys.ENTER)
            tab.wait_for("log", "^Grüße")
            tab.click("steady")
            tab.wait_for("rtt-count", r"^[2-9]\d$")
            PICTURE.parent.mkdir(exist_ok=True)
            driver.save_screenshot(str(PICTURE))
        finally:
            driver.quit()
            server.kill()
    print(f"{PICTURE.relative_to(Path.cwd())}: {PICTURE.stat().st_size} octets")


if __name__ == "__main__":
    main()
