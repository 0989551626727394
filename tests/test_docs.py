"""README and chapters: commands, options, keys, paths, sections and links exist, and snippets of Python compile."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import pytest
from typer.main import get_command

from raygan.algorithms import algorithm_of
from raygan.cli.app import app
from raygan.config.choices import ALGORITHMS
from raygan.config.loading import read_config
from raygan.search.search import read_search
from tests.test_layers import LEVELS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "raygan" / "docs"
CODE = re.compile(r"^```(\w*)\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
CITATION = re.compile(r'(README|raygan/docs/\w+\.md)`?,[\s#]*"([^"]+)"')
MAX_PICTURE_BYTES = 150_000
EXAMPLES = "raygan/docs/extend.md"
"""Its names are made by its examples: `tests/test_extend.py` trains with its commands."""


@dataclass(frozen=True)
class Page:
    """One page of the documentation."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def prose(self) -> str:
        return CODE.sub("", self.text)

    @cached_property
    def sections(self) -> set[str]:
        return set(re.findall(r"^#+ (.+)$", self.prose, flags=re.MULTILINE))

    def blocks(self, *languages: str) -> list[str]:
        return [code for language, code in CODE.findall(self.text) if language in languages]

    @cached_property
    def lines(self) -> list[str]:
        return [line for block in self.blocks("sh") for line in block.splitlines()]

    @cached_property
    def commands(self) -> list[str]:
        """Those of raygan, in code and in sentences that show one with its options."""
        shown = [" ".join(x.split()) for x in re.findall(r"`(raygan [a-z]+ [^`]+)`", self.prose)]
        return [line for line in (*self.lines, *shown) if re.match(r"(\.venv/bin/)?raygan ", line)]


README = Page(ROOT / "README.md")
PAGES = [
    README,
    *(Page(path) for path in sorted(DOCS.glob("*.md"))),
    Page(ROOT / "tune_configs" / "README.md"),
    Page(ROOT / "raygan" / "telemetry" / "METRICS.md"),
]
COMMANDS = [(page.name, line) for page in PAGES for line in page.commands]
SECTIONS = {"README" if page is README else page.name: page.sections for page in PAGES}
SHIPPED = [path for name in ("raygan", "tune_configs") for path in sorted((ROOT / name).rglob("*.*"))]


def citations() -> Iterator[tuple[str, str, str]]:
    """File, page and section, of every section that a file names."""
    for path in (ROOT / "cluster.yaml", *SHIPPED):
        if path.suffix in (".py", ".yaml", ".md", ".html"):
            for page, section in CITATION.findall(path.read_text(encoding="utf-8")):
                yield str(path.relative_to(ROOT)), page, " ".join(section.replace("#", " ").split())


CITED = list(citations())
LINKS = [(page.name, link) for page in PAGES for link in sorted(set(LINK.findall(page.prose)))]


def test_pages_are_found_and_there_is_something_in_them() -> None:
    """What the tests below go through is not empty."""
    assert len(PAGES) >= 10
    assert len(COMMANDS) > 30
    assert ("raygan/run/folder.py", "raygan/docs/files.md", "A run's folder") in CITED
    assert ("cluster.yaml", "raygan/docs/cluster.md", "Start one") in CITED
    assert ("README.md", "raygan/docs/method.md") in LINKS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_nothing_is_left_to_fill_in(page: Page) -> None:
    assert not re.search(r"^[A-Z]{3,}$", page.text, flags=re.MULTILINE)


def test_the_first_two_commands_set_up_and_run() -> None:
    first, second = README.lines[:2]
    assert first.endswith(".venv/bin/raygan train")
    assert second in (ROOT / ".ci" / "run").read_text(encoding="utf-8"), "CI runs the README's test command"


def test_the_readme_is_a_tour_that_leads_to_every_chapter() -> None:
    assert len(README.text.splitlines()) <= 220
    missing = {page.name for page in PAGES} - {README.name} - set(LINK.findall(README.prose))
    assert not missing, "a page that nobody finds"


def test_its_picture_is_there_and_small() -> None:
    (picture,) = re.findall(r"^!\[[^]]+\]\((.+)\)$", README.text, flags=re.MULTILINE)
    content = (ROOT / picture).read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) <= MAX_PICTURE_BYTES


def test_its_layers_are_those_of_the_code() -> None:
    (line,) = re.findall(r"^Layers, low to high[^:]*: (.+?)\.$", README.prose, flags=re.DOTALL | re.MULTILINE)
    levels = [[name.strip() for name in level.split(",")] for level in line.split("|")]
    assert [set(level) for level in levels] == LEVELS


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_commands_and_their_options_exist(page: str, line: str) -> None:
    _, name, *arguments = shlex.split(line, comments=True)
    command = get_command(app).commands[name]  # type: ignore[attr-defined]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    used = {argument.split("=")[0] for argument in arguments if argument.startswith("--")}
    assert used <= known, f"unknown options: {used - known}"


@pytest.mark.parametrize(
    ("page", "line"), [(page, line) for page, line in COMMANDS if "--set" in line and page != EXAMPLES]
)
def test_overrides_are_keys(page: str, line: str) -> None:
    arguments = shlex.split(line, comments=True)
    overrides = [value for flag, value in pairwise(arguments) if flag == "--set"]
    assert overrides
    if arguments[1] in ("tune", "compare"):
        assert read_search(ROOT / arguments[2], overrides).points()
    else:
        read_config(None, overrides)


@pytest.mark.parametrize(("page", "link"), LINKS)
def test_links_lead_to_pages_and_sections(page: str, link: str) -> None:
    target, _, anchor = link.partition("#")
    found = ((ROOT / page).parent / target).resolve() if target else ROOT / page
    assert found.is_file(), f"{page} links to {link}"
    if anchor:
        assert anchor in {anchor_of(section) for section in Page(found).sections}


def anchor_of(section: str) -> str:
    """A heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", section.lower()).replace(" ", "-")


@pytest.mark.parametrize(("path", "page", "section"), CITED)
def test_sections_that_the_code_names_exist(path: str, page: str, section: str) -> None:
    assert section in SECTIONS[page], f"{path} names a section that {page} has not"


@pytest.mark.parametrize(("page", "code"), [(page.name, code) for page in PAGES for code in page.blocks("python")])
def test_snippets_of_python_compile(page: str, code: str) -> None:
    compile(code, page, "exec")


@pytest.mark.parametrize("name", list(ALGORITHMS))
def test_the_table_of_algorithms_says_what_leaves_a_client(name: str) -> None:
    first_table = (DOCS / "algorithms.md").read_text().partition("\n## ")[0]
    (row,) = [line for line in first_table.splitlines() if line.startswith(f"| `{name}` |")]
    told = set(re.findall(r"`(\w+)`", row.split(" | ")[-1]))
    assert told == {kind.__name__ for kind in algorithm_of(name).worker_type.sends}
