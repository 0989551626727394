"""HTML from the templates in `raygan/templates/`: every value is escaped, so no text of a run can become markup."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from jinja2 import Environment


class Table(NamedTuple):
    """A table: the first column names the row."""

    head: Sequence[object]
    rows: Sequence[Sequence[object]]
    words: bool = False
    """Whether the other columns are text, too, and not numbers."""
    title: str | None = None


class Picture(NamedTuple):
    """A PNG inside the page."""

    content: bytes
    text: str
    """What it shows, for those who cannot see it."""
    kind: Literal["plot", "images"]
    """A plot is drawn dark on nothing, and is inverted where the page is dark; images stay as they are."""
    caption: str | None = None


def render(template: str, **values: object) -> str:
    """A template with these values in it; one that is missing is an error."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # not needed before there is a page

    environment = Environment(
        loader=PackageLoader("raygan"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data_uri"] = _data_uri
    return environment


def _data_uri(content: bytes, kind: str) -> str:
    """A file of this MIME type as an address that holds it."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
