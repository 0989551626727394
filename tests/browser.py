"""Headless Chromium, steered over its DevTools protocol: what a person sees of a page."""

from __future__ import annotations

import asyncio
import base64
import itertools
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import aiohttp

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
STARTS_S, SHOWS_S = 60, 90
OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1600,1400",
    "--hide-scrollbars", "--remote-debugging-port=0",
)  # fmt: skip
COMPLAINTS = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Network.loadingFailed")
"""Events that tell of an error, or of something that a script says."""


class Tab:
    """A tab of the browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._numbers = socket, itertools.count(1)
        self.complaints: list[dict[str, Any]] = []
        self.requests: list[str] = []
        """Addresses that were asked for."""

    async def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The answer to a method of the protocol."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while (message := await self._socket.receive_json()).get("id") != number:
            self._hear(message)
        assert "error" not in message, message["error"]
        return message["result"]

    def _hear(self, message: dict[str, Any]) -> None:
        if message.get("method") in COMPLAINTS:
            self.complaints.append(message["params"])
        if message.get("method") == "Network.requestWillBeSent":
            self.requests.append(message["params"]["request"]["url"])

    async def listen(self) -> None:
        """From now on it hears of complaints and requests."""
        for domain in ("Log", "Runtime", "Network"):
            await self.ask(f"{domain}.enable")

    async def value(self, expression: str) -> Any:
        """What an expression of JavaScript gives in the page."""
        answer = await self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def show(self, url: str, width: int = 1400, scheme: str = "light") -> None:
        """Opens a page in a window of this width, by day or by night, and waits until it is there."""
        await self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        await self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        await self.ask("Page.navigate", url=url)
        for _ in range(10 * STARTS_S):
            state = "document.readyState === 'complete' && location.href !== 'about:blank'"
            if await self.value(state):
                break
            await asyncio.sleep(0.1)

    async def picture(self, selector: str) -> bytes:
        """A PNG of the first such element."""
        box = await self.value(
            f"(box => [box.x + scrollX, box.y + scrollY, box.width, box.height])"
            f"(document.querySelector('{selector}').getBoundingClientRect())"
        )
        clip = dict(zip(("x", "y", "width", "height"), box, strict=True), scale=1)
        shot = await self.ask("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        return base64.b64decode(shot["data"])


@asynccontextmanager
async def tab() -> AsyncIterator[Tab]:
    """A tab of a new browser."""
    assert CHROMIUM is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = subprocess.Popen(
            [CHROMIUM, *OPTIONS, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            port = await _port(Path(profile) / "DevToolsActivePort")
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                    page = next(target for target in await answer.json() if target["type"] == "page")
                async with session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                    yield Tab(socket)
        finally:
            browser.terminate()
            browser.wait(30)


async def _port(file: Path) -> str:
    for _ in range(10 * STARTS_S):
        if file.exists() and file.read_text():
            break
        await asyncio.sleep(0.1)
    return file.read_text().splitlines()[0]


def page_text(url: str, cookie: tuple[str, str], shows: Callable[[str], bool]) -> str:
    """The text of a page, as soon as it shows what is waited for, or at last.

    Args:
        cookie: name and value.
    """
    return asyncio.run(_read(url, cookie, shows))


async def _read(url: str, cookie: tuple[str, str], shows: Callable[[str], bool]) -> str:
    name, value = cookie
    async with tab() as opened:
        await opened.ask("Network.setCookie", name=name, value=value, domain=urlparse(url).hostname, path="/")
        await opened.ask("Page.navigate", url=url)
        text = ""
        for _ in range(SHOWS_S):
            await asyncio.sleep(1)
            text = await opened.value("document.body ? document.body.innerText : ''") or ""
            if shows(text):
                break
        return text
