from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module",
    [
        "raygan.runtime.ray.actors",
        "raygan.runtime.ray.transport",
        "raygan.cuts",
        "raygan.data",
        "raygan.config",
    ],
)
def test_what_an_aggregator_or_a_planner_imports_brings_no_torch(module: str) -> None:
    check = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


@pytest.mark.parametrize("module", ["raygan.split.body", "raygan.split.worker", "raygan.api"])
def test_what_comes_before_the_first_step_does_without_scikit_learn(module: str) -> None:
    check = f"import sys, {module}; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


@pytest.mark.parametrize("library", ["numpy", "pydantic", "torch", "ray"])
def test_the_help_page_brings_no_library_but_that_of_the_command_line(library: str) -> None:
    check = f"import sys, raygan.cli; sys.exit({library!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
