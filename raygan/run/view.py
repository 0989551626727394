"""A run in a line, for `repr`, and as HTML, for notebooks."""

from __future__ import annotations

import base64
import html
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from raygan.config import Config
from raygan.run.score_table import score_table
from raygan.scores import HEADLINE
from raygan.tables import data_frame

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
    parts = [f"<p><b>raygan run {html.escape(run.path.name)}</b>: {html.escape(in_a_line(run))}</p>"]
    if scores := last_scores(run):
        head, rows = score_table(scores, run.model_kind)
        parts.append(data_frame(dict(zip(head, row, strict=True)) for row in rows).to_html(index=False, border=0))
    shown = last_pictures(run)
    parts += [_picture(path) for path in shown[:MAX_PICTURES]]
    if len(shown) > MAX_PICTURES:
        parts.append(
            f"<p>{len(shown) - MAX_PICTURES} more pictures are in {html.escape(str(run.path / 'samples'))}</p>"
        )
    return f"<div>{''.join(parts)}</div>"


def last_scores(run: Run) -> dict[str, Any]:
    """By domain, as in `metrics.jsonl`; empty: no round has any."""
    lines = run.records.to_dict("records")
    return next((line["scores"] for line in reversed(lines) if line["scores"]), {})


def last_pictures(run: Run) -> list[Path]:
    """Of the last round that has any."""
    rounds = {path: path.name.rsplit("-", 2)[0] for path in run.samples}
    return [path for path, name in rounds.items() if name == max(rounds.values())]


def _picture(path: Path) -> str:
    source = base64.b64encode(path.read_bytes()).decode("ascii")
    alt = html.escape(f"samples: {path.stem}")
    return f'<img alt="{alt}" src="data:image/png;base64,{source}" style="max-height: 20em; margin: 4px">'
