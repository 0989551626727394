"""What is wrong with a page for those who look at it: at three widths, by day and by night, in a real browser."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from tests.browser import Tab, tab

WIDTHS, SCHEMES = (420, 800, 1400), ("light", "dark")
LEAST_CONTRAST = 4.5
"""WCAG 2.2, AA, of text."""
OPEN_ALL = "document.querySelectorAll('details').forEach(one => { one.open = true })"
WIDER = """
[...document.querySelectorAll('body *')]
  .filter(one => getComputedStyle(one).display !== 'inline' && !one.matches('.passes *'))
  .filter(one => one.scrollWidth > one.clientWidth + 1 || one.getBoundingClientRect().right > innerWidth + 1)
  .map(one => `${one.tagName} ${one.className}: ${one.scrollWidth} of ${one.clientWidth} pixels`)
"""
"""Elements whose content does not fit into them, or that leave the window; names of passes end in dots on purpose."""
TEXTS = """
(() => {
  const ground = one => {
    for (; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor;
      if (!/, 0\\)$/.test(colour)) return colour;
    }
    return 'none';
  };
  const found = [], texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    const one = text.parentElement;
    if (text.data.trim() && one.checkVisibility()) found.push([getComputedStyle(one).color, ground(one), text.data]);
  }
  for (const one of document.querySelectorAll('td, th')) {
    const style = getComputedStyle(one, '::before');
    if (style.content.length > 6 && one.checkVisibility()) found.push([style.color, ground(one), style.content]);
  }
  return found;
})()
"""
"""[colour, ground, text] of all texts that are visible."""


def luminance(colour: tuple[int, ...]) -> float:
    """Relative luminance of red, green, blue from 0 to 255 (WCAG 2.2)."""
    parts = [part / 255 for part in colour]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    """From 1 to 21 (WCAG 2.2)."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def flaws(page: Path) -> list[str]:
    """All that is wrong with it, each with width and colour scheme."""
    return asyncio.run(_flaws(page))


async def _flaws(page: Path) -> list[str]:
    found = []
    async with tab() as opened:
        await opened.listen()
        for scheme in SCHEMES:
            for width in WIDTHS:
                await opened.show(page.as_uri(), width, scheme)
                await opened.value(OPEN_ALL)
                found += [f"{scheme}, {width}: {flaw}" async for flaw in _seen(opened, width)]
        foreign = {url for url in opened.requests if not url.startswith("data:")} - {page.as_uri()}
        return found + [f"complaint: {one}" for one in opened.complaints] + [f"asks for {url}" for url in foreign]


async def _seen(opened: Tab, width: int):
    scrolls = await opened.value("document.scrollingElement.scrollWidth")
    if scrolls > width:
        yield f"the page is {scrolls} pixels wide"
    for one in await opened.value(WIDER):
        yield one
    texts = await opened.value(TEXTS)
    assert len(texts) > 20, "there is something to read"
    for flaw in _pale(texts):
        yield flaw
    if await opened.value("document.querySelector('img.plot') !== null"):
        panel = await opened.value("getComputedStyle(document.querySelector('section')).backgroundColor")
        for flaw in _pale_plot(await opened.picture("img.plot"), _colour(panel)):
            yield flaw


def _colour(text: str) -> tuple[int, ...]:
    """Of `rgb(1, 2, 3)`."""
    return tuple(map(int, re.findall(r"\d+", text)[:3]))


def _pale(texts: list[list[str]]) -> Iterator[str]:
    for colour, ground, text in texts:
        if contrast(_colour(colour), _colour(ground)) < LEAST_CONTRAST:
            yield f"{text.strip()[:40]!r} is {colour} on {ground}"


def _pale_plot(png: bytes, panel: tuple[int, ...]) -> Iterator[str]:
    """Its ground is to be that of the page, and its text the colour that is farthest from that."""
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).reshape(-1, 3)
    colours, counts = np.unique(pixels, axis=0, return_counts=True)
    ground = colours[counts.argmax()]
    if np.abs(ground - np.array(panel)).max() > 8:
        yield f"a plot's ground is {ground}, the page's {panel}"
    best = max(contrast(tuple(map(int, colour)), panel) for colour in colours)
    if best < LEAST_CONTRAST:
        yield f"a plot's text has a contrast of {best:.1f}"
