"""HTML from Python: whatever is not `Html` already is escaped, so no text of a run can become markup."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence
from pathlib import Path

VOID = ("img", "meta", "br")


class Html(str):
    """Markup; any other string is text."""

    __slots__ = ()


def tag(name: str, /, *content: object, **attributes: object) -> Html:
    """An element; `class_` is the attribute `class`, a list among the content is flattened, None is left out."""
    given = "".join(
        f' {key.rstrip("_")}="{html.escape(str(value))}"' for key, value in attributes.items() if value is not None
    )
    inner = _markup(content)
    return Html(f"<{name}{given}>" if name in VOID else f"<{name}{given}>{inner}</{name}>")


def _markup(part: object) -> str:
    if part is None or isinstance(part, Html):
        return part or ""
    if isinstance(part, (list, tuple)):
        return "".join(map(_markup, part))
    return html.escape(str(part))


def section(anchor: str, title: str, *content: object) -> Html:
    """A section of the page with its heading."""
    return tag("section", tag("h2", title), *content, id=anchor)


def table(head: Iterable[object], rows: Iterable[Sequence[object]], class_: str | None = None) -> Html:
    """A table: text in the first column, numbers in the others. A row that is an element already stays as it is."""
    top = tag("thead", tag("tr", [tag("th", cell, scope="col") for cell in head]))
    body = tag("tbody", [row if isinstance(row, Html) else _row(row) for row in rows])
    return tag("div", tag("table", top, body, class_=class_), class_="scroll")


def _row(cells: Sequence[object]) -> Html:
    return tag("tr", tag("th", cells[0], scope="row"), [tag("td", cell) for cell in cells[1:]])


def picture(content: bytes, text: str, class_: str | None = None) -> Html:
    """A PNG inside the page.

    Args:
        content: the file.
        text: what it shows, for those who cannot see it.
    """
    source = "data:image/png;base64," + base64.b64encode(content).decode("ascii")
    return tag("img", src=source, alt=text, class_=class_)


def sound(content: bytes) -> Html:
    """A WAV file inside the page, with buttons to play it."""
    source = "data:audio/wav;base64," + base64.b64encode(content).decode("ascii")
    return tag("audio", controls="controls", preload="metadata", src=source)


def page(title: str, *content: object) -> str:
    """The whole document: it asks for nothing outside itself and runs no script."""
    style = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("style", Html(style)),
    )
    return "<!DOCTYPE html>\n" + tag("html", head, tag("body", tag("main", *content)), lang="en") + "\n"
