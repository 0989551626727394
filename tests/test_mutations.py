"""The table of mutations still fits the code, and its runner tells a mistake that is noticed from one that is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutations.__main__ import ROOT, table_of, try_all
from tests.mutations.runner import BrokenError, mutated
from tests.mutations.table import MUTATIONS, Mutation


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mutation_changes_one_place_and_names_tests_that_are_there(mutation: Mutation) -> None:
    text = (ROOT / mutation.file).read_text()
    assert mutated(mutation, text) != text
    compile(mutated(mutation, text), mutation.file, "exec")
    for test in mutation.tests:
        assert (ROOT / test.partition("::")[0]).is_file()


def test_names_are_all_different() -> None:
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS) >= 25


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A function, and a test that knows it at one place only."""
    for folder in ("raygan", "tests"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").touch()
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "raygan" / "square.py").write_text("def square(x):\n    return x * x\n")
    known = "from raygan.square import square\n\n\ndef test_square():\n    assert square(2) == 4\n"
    (tmp_path / "tests" / "test_square.py").write_text(known)
    return tmp_path


def mutation(name: str, new: str, old: str = "x * x") -> Mutation:
    return Mutation(name, "raygan/square.py", old, new, ("tests/test_square.py",))


def test_what_no_test_notices_survives(repository: Path) -> None:
    outcomes = try_all([mutation("sum", "x + x"), mutation("cube", "x * x * x")], repository)
    assert [outcome.killed_by for outcome in outcomes] == [None, "tests/test_square.py::test_square"]
    assert table_of(outcomes).splitlines()[1] == "sum      | raygan/square.py | NOTHING"
    assert "x * x\n" in (repository / "raygan" / "square.py").read_text(), "a copy was mutated"


def test_tests_that_cannot_judge_are_told(repository: Path) -> None:
    with pytest.raises(BrokenError, match=r"gone: its old text stands 0 times in raygan/square\.py, not once"):
        mutated(mutation("gone", "", old="x ** 2"), "x * x")
    with pytest.raises(BrokenError, match="pytest ended with 2"):
        try_all([mutation("no Python", "x *")], repository)
    (repository / "tests" / "test_square.py").write_text("def test_square():\n    assert False\n")
    with pytest.raises(BrokenError, match="test_square fails without a mutation; mend it first"):
        try_all([mutation("cube", "x * x * x")], repository)
