"""`raygan docs`: the chapters that come with the package, for those who have no repository at hand."""

from __future__ import annotations

from pathlib import Path

from rich.markdown import Markdown

import raygan
from raygan.cli.screen import Screen
from raygan.errors import InputError, instead_of

DOCS = Path(raygan.__file__).parent / "docs"


def show_docs(name: str | None) -> None:
    """Prints a chapter: laid out on a terminal, in a pipe as it is written. None: which there are, with their titles.

    Raises:
        InputError: there is no such chapter.
    """
    chapters = {path.stem: path for path in sorted(DOCS.glob("*.md"))}
    screen = Screen()
    if name is None:
        width = max(map(len, chapters))
        for known, path in chapters.items():
            screen.tell(f"{known:{width}}  {_title(path)}")
        screen.tell(f"raygan docs NAME shows one; files: {DOCS}")
    elif name not in chapters:
        raise InputError("raygan docs", f"{name!r} is no chapter", instead_of(name, list(chapters)))
    else:
        text = chapters[name].read_text(encoding="utf-8")
        if screen.console.is_terminal:
            screen.console.print(Markdown(text, hyperlinks=False))
        else:
            print(text, end="")


def _title(path: Path) -> str:
    with path.open(encoding="utf-8") as lines:
        return next(lines).lstrip("# ").strip()
