"""Headless Chromium, steered over its DevTools protocol: what a person reads on a page that scripts build."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import aiohttp

STARTS_S, SHOWS_S = 60, 90


def page_text(chromium: str, url: str, cookie: tuple[str, str], shows: Callable[[str], bool]) -> str:
    """The text of a page, as soon as it shows what is waited for, or at last.

    Args:
        cookie: name and value.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1600,1400"]
        browser = subprocess.Popen(
            [chromium, *options, "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            return asyncio.run(_read(Path(profile) / "DevToolsActivePort", url, cookie, shows))
        finally:
            browser.terminate()
            browser.wait(30)


async def _read(ports: Path, url: str, cookie: tuple[str, str], shows: Callable[[str], bool]) -> str:
    for _ in range(2 * STARTS_S):
        if ports.exists() and ports.read_text():
            break
        await asyncio.sleep(0.5)
    port = ports.read_text().splitlines()[0]
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
            targets = await answer.json()
        page = next(target for target in targets if target["type"] == "page")
        async with session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0) as socket:
            numbers = itertools.count(1)

            async def ask(method: str, **parameters: Any) -> dict[str, Any]:
                number = next(numbers)
                await socket.send_json({"id": number, "method": method, "params": parameters})
                while (message := await socket.receive_json()).get("id") != number:
                    pass
                return message.get("result", {})

            name, value = cookie
            await ask("Network.setCookie", name=name, value=value, domain=urlparse(url).hostname, path="/")
            await ask("Page.navigate", url=url)
            text = ""
            for _ in range(SHOWS_S):
                await asyncio.sleep(1)
                result = await ask("Runtime.evaluate", expression="document.body.innerText")
                text = result.get("result", {}).get("value") or ""
                if shows(text):
                    break
            return text
