"""Nothing is unpickled from disk, and a Ray of our own keeps its authentication."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import raygan

ROOT = Path(raygan.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
UNSAFE_MODULES = {"pickle", "cloudpickle", "dill", "shelve", "marshal", "joblib"}
UNSAFE_CALLS = {"eval", "exec", "load_state_dict_from_url", "unsafe_load", "full_load"}


def named(call: ast.Call) -> str:
    return ast.unparse(call.func)


def calls(path: Path) -> list[ast.Call]:
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_unpickled(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert not {alias.name.split(".")[0] for alias in node.names} & UNSAFE_MODULES
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in UNSAFE_MODULES
    for call in calls(path):
        name = named(call)
        assert name not in UNSAFE_CALLS
        assert name not in ("torch.load", "torch.save", "yaml.load"), f"{name}, line {call.lineno}"
        if name in ("np.load", "numpy.load"):
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
            assert given.get("allow_pickle") == "False", f"line {call.lineno}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nobody_turns_rays_authentication_off(path: Path) -> None:
    strings = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
    assert "RAY_AUTH_MODE" not in strings, "the name of the variable, to set or remove it"


def test_a_ray_of_our_own_asks_for_its_token(small_ray: None) -> None:
    from ray._private.authentication.authentication_utils import is_token_auth_enabled

    assert is_token_auth_enabled()
