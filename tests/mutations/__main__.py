"""`python -m tests.mutations [--only NAME]`: every mutation of the method's mathematics, and the test that kills it.

Exit codes: 0 all were killed; 1 one survived; 2 the tests could not judge.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory

from tests.mutations.runner import BrokenError, Outcome, copy_repository, first_failure, try_mutation
from tests.mutations.table import MUTATIONS, Mutation

ROOT = Path(__file__).parents[2]
WORKERS = 2
"""Copies of the repository that are tried at the same time."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", metavar="NAME", choices=[one.name for one in MUTATIONS], help="one mutation")
    only = parser.parse_args(arguments).only
    try:
        outcomes = try_all([one for one in MUTATIONS if only in (None, one.name)])
    except BrokenError as error:
        print(error, file=sys.stderr)
        return 2
    print(table_of(outcomes))
    return int(any(outcome.killed_by is None for outcome in outcomes))


def try_all(mutations: Sequence[Mutation], root: Path = ROOT) -> list[Outcome]:
    """Tries each of them, in order.

    Raises:
        BrokenError: the tests fail without a mutation, or cannot be run with one.
    """
    with TemporaryDirectory(prefix="mutations-") as folder:
        copies: SimpleQueue[Path] = SimpleQueue()
        for worker in range(WORKERS):
            copy_repository(root, copy := Path(folder) / str(worker))
            copies.put(copy)
        tests = dict.fromkeys(test for mutation in mutations for test in mutation.tests)
        if failed := first_failure(tests, copy):
            raise BrokenError(f"{failed} fails without a mutation; mend it first")

        def attempt(mutation: Mutation) -> Outcome:
            copy = copies.get()
            try:
                outcome = try_mutation(mutation, copy)
            finally:
                copies.put(copy)
            print(
                f"{'killed  ' if outcome.killed_by else 'SURVIVED'} {mutation.name}",
                file=sys.stderr,
                flush=True,
            )
            return outcome

        with ThreadPoolExecutor(WORKERS) as pool:
            return list(pool.map(attempt, mutations))


def table_of(outcomes: Sequence[Outcome]) -> str:
    """`mutation | file | killed by`, a line each."""
    rows = [("mutation", "file", "killed by")]
    rows += [(one.mutation.name, one.mutation.file, one.killed_by or "NOTHING") for one in outcomes]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "\n".join(f"{name:{widths[0]}} | {file:{widths[1]}} | {test}" for name, file, test in rows)


if __name__ == "__main__":
    sys.exit(main())
