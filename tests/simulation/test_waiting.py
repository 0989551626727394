from __future__ import annotations

import os
import subprocess
import sys

import pytest

SHOWN = """
import os, sys
from raygan.simulation.waiting import sleep_soon

sleep_soon()
print("torch" in sys.modules, os.environ.get("GOMP_SPINCOUNT"))
"""


@pytest.mark.parametrize(
    ("said", "expected"),
    [({}, "False 1000"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "False None"), ({"GOMP_SPINCOUNT": "7"}, "False 7")],
    ids=["nothing", "a policy", "a number"],
)
def test_what_the_environment_says_is_kept(said: dict, expected: str) -> None:
    """torch, which reads it once, is not there yet."""
    rest = {key: value for key, value in os.environ.items() if key not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    done = subprocess.run([sys.executable, "-c", SHOWN], env=rest | said, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected


TRAINED = """
import sys
from raygan.cli import app

app.sleep_soon = lambda: print("torch" in sys.modules)
sys.argv = ["raygan", "train", "nowhere.yaml", *sys.argv[1:]]
app.app()
"""


@pytest.mark.parametrize(("options", "expected"), [(["--in-process"], "False"), ([], "")], ids=["in process", "on Ray"])
def test_the_command_says_it_before_torch_is_there(options: list[str], expected: str) -> None:
    """On Ray, whose workers would inherit it, it does not."""
    done = subprocess.run([sys.executable, "-c", TRAINED, *options], capture_output=True, text=True, check=False)
    assert "nowhere.yaml" in done.stderr
    assert done.stdout.strip() == expected
