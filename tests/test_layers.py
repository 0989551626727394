"""Imports point one way (README, "Read the code")."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import raygan

ROOT = Path(raygan.__file__).parent
LEVELS = [
    {"errors"},
    {"names", "randomness", "scores"},
    {"step"},
    {"wire"},
    {"config", "storage"},
    {"nn", "data", "federated", "cuts", "evaluation", "telemetry"},
    {"parties", "simulation"},
    {"runtime"},
    {"split", "whole"},
    {"algorithms"},
    {"run"},
    {"api"},
    {"search", "report", "bench"},
    {"cli"},
]
LEVEL = {name: number for number, names in enumerate(LEVELS) for name in names}
MAY_USE_RAY = {"runtime/ray", "search", "telemetry", "cli"}
FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


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
