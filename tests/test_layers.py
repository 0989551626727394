"""Imports point one way (README, "Read the code")."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import raygan

ROOT = Path(raygan.__file__).parent
LEVELS = [
    {"errors"},
    {"names", "own_code", "randomness", "scores", "markup"},
    {"step"},
    {"wire"},
    {"config", "storage"},
    {"packed"},
    {"nn", "data", "federated", "cuts", "evaluation", "secure"},
    {"parties", "simulation"},
    {"runtime"},
    {"split", "whole", "served"},
    {"algorithms"},
    {"run"},
    {"telemetry", "privacy"},
    {"api"},
    {"search", "report", "bench", "export"},
    {"compare"},
    {"cli"},
]
LEVEL = {name: number for number, names in enumerate(LEVELS) for name in names}
MAY_USE_RAY = {"runtime/ray", "search", "telemetry", "cli"}
MAX_DEPTH = 18
"""Modules in the longest chain of imports: who reads the top one need not follow more."""
FRONT = (ROOT / "__init__.py", ROOT / "__main__.py")
FILES = sorted(path for path in ROOT.rglob("*.py") if path not in FRONT)


def part_of(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").parts[0]


def imports(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found += (
                [f"{node.module}.{alias.name}" for alias in node.names]
                if node.module == "raygan"
                else [node.module or ""]
            )
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_to_lower_layers(path: Path) -> None:
    mine = part_of(path)
    assert mine in LEVEL, f"{mine} has no layer"
    for name in imports(path):
        if name.startswith("raygan."):
            other = name.split(".")[1]
            if other != mine:
                assert LEVEL[other] < LEVEL[mine], f"{path.name} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_ray_is_imported_only_where_actors_live(path: Path) -> None:
    if not path.relative_to(ROOT).as_posix().startswith(tuple(MAY_USE_RAY)):
        assert not [name for name in imports(path) if name == "ray" or name.startswith("ray.")]


MODULES = {".".join(path.relative_to(ROOT.parent).with_suffix("").parts): path for path in FILES}
MODULES = {name.removesuffix(".__init__"): path for name, path in MODULES.items()}


def imported_nodes(node: ast.AST, whenever: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    """Import statements; without `whenever` not those of functions and of `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        later = isinstance(child, ast.FunctionDef) or (
            isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
        )
        if whenever or not later:
            yield from imported_nodes(child, whenever)


@cache
def graph(whenever: bool) -> dict[str, set[str]]:
    """Module -> the modules of raygan that it names in imports. The front door, `raygan` itself, is left out."""
    found = {}
    for name, path in MODULES.items():
        names: set[str] = set()
        for node in imported_nodes(ast.parse(path.read_text()), whenever):
            if isinstance(node, ast.ImportFrom):
                names |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
            else:
                names |= {alias.name for alias in node.names}
        found[name] = names & MODULES.keys() - {name}
    return found


def test_no_module_imports_itself_through_others() -> None:
    TopologicalSorter(graph(whenever=True)).prepare()  # a CycleError names the modules


def test_the_longest_chain_of_imports_is_short() -> None:
    chains: dict[str, list[str]] = {}
    for name in TopologicalSorter(graph(whenever=False)).static_order():
        below = [chains[other] for other in graph(whenever=False)[name]]
        chains[name] = [name, *max(below, key=len, default=[])]
    longest = max(chains.values(), key=len)
    assert len(longest) > 5, "the graph is there"
    assert len(longest) <= MAX_DEPTH, " -> ".join(longest)
