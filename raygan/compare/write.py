"""A comparison's files."""

from __future__ import annotations

import json
from pathlib import Path

from raygan.compare.document import Document, comparison
from raygan.compare.page import comparison_page
from raygan.compare.pictures import draw_curves
from raygan.search.results import Results
from raygan.storage import write_bytes


def write_comparison(results: Results, folder: Path) -> tuple[Document, list[Path]]:
    """Writes `compare.csv` (a row a trial), `compare.json`, `compare.png` and `compare.html`.

    Returns:
        The document, and the files.
    """
    document = comparison(results)
    curves = draw_curves(document)
    text = json.dumps(document, indent=1, allow_nan=False)
    page = comparison_page(results.search.name, document, curves)
    files = {
        "csv": results.table().to_csv(index=False).encode(),
        "json": text.encode(),
        "png": curves,
        "html": page.encode(),
    }
    for kind, content in files.items():
        write_bytes(folder / f"compare.{kind}", content)
    return document, [folder / f"compare.{kind}" for kind in files]
