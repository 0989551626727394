"""Tables of pandas, which is imported when the first is asked for: a third of a second that training does without."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def data_frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """A table of these rows, with a column for each of their keys."""
    import pandas as pd

    return pd.DataFrame(rows)
