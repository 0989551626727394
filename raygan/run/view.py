"""A run in a line, for `repr`, and as HTML, for notebooks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from raygan.config import Config
from raygan.markup import render
from raygan.run.score_table import score_table
from raygan.scores import HEADLINE

if TYPE_CHECKING:
    import pandas as pd

MAX_PICTURES = 4


class Run(Protocol):
    """What is shown of a `raygan.run.stored.Run`."""

    path: Path
    config: Config

    @property
    def records(self) -> pd.DataFrame:
        """A row a round."""

    @property
    def samples(self) -> list[Path]:
        """The pictures."""

    @property
    def model_kind(self) -> str:
        """What models are called."""


def in_a_line(run: Run) -> str:
    """Algorithm, rounds and the headline score of each domain."""
    done, asked = len(run.records), run.config.training.rounds
    found = {domain: entry.get(HEADLINE) for domain, entry in last_scores(run).items()}
    scores = ", ".join(f"{domain} {100 * score:.1f}%" for domain, score in found.items() if score is not None)
    text = f"{run.config.algorithm}, {done} of {asked} rounds"
    return f"{text}, {HEADLINE.replace('_', ' ')}: {scores}" if scores else text


def as_html(run: Run) -> str:
    """The line, the last scores as a table, the last pictures."""
    scores, shown = last_scores(run), last_pictures(run)
    head, rows = score_table(scores, run.model_kind) if scores else ((), [])
    return render(
        "run.html",
        name=run.path.name,
        line=in_a_line(run),
        head=head,
        rows=rows,
        pictures=[{"name": path.stem, "content": path.read_bytes()} for path in shown[:MAX_PICTURES]],
        hidden=len(shown[MAX_PICTURES:]),
        folder=run.path / "samples",
    )


def last_scores(run: Run) -> dict[str, Any]:
    """By domain, as in `metrics.jsonl`; empty: no round has any."""
    lines = run.records.to_dict("records")
    return next((line["scores"] for line in reversed(lines) if line["scores"]), {})


def last_pictures(run: Run) -> list[Path]:
    """Of the last round that has any."""
    rounds = {path: path.name.rsplit("-", 2)[0] for path in run.samples}
    return [path for path, name in rounds.items() if name == max(rounds.values())]
