"""Labels from a CSV file: one row a file of a folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from raygan.config.loading import from_home
from raygan.data.found import skipped
from raygan.data.loaders.folders import PARTS, Decode, FolderSource, check_folder, files_below, hold_out, listing
from raygan.errors import DataError, instead_of, reason

if TYPE_CHECKING:
    import pandas as pd

    from raygan.config.schema import LabelTable


def list_by_table(root: Path, table: LabelTable, suffixes: Sequence[str], where: str, decode: Decode) -> FolderSource:
    """The files below `root` that the table names, with or without their suffix and folders; classes are its labels in
    sorted order (of numbers, by their value).

    Raises:
        DataError: a table that cannot be read, whose columns cannot be told, that names no file of the folder, or that
            labels a file in two ways.
    """
    check_folder(root, where)
    rows = _rows(table)
    left_out: Counter[str] = Counter()
    names: dict[str, set[Path]] = {}
    for path in files_below(root, left_out):
        if path.suffix.lower() in suffixes:
            relative = path.relative_to(root)
            for name in (path.name, path.stem, relative.as_posix(), relative.with_suffix("").as_posix()):
                names.setdefault(name, set()).add(path)
    own = (table.label_column, table.part_column)
    likely = [column for column in rows if column not in own and rows[column].isin(names.keys()).any()]
    files = _column(rows, table.file_column, table, likely, "file")
    others = [column for column in rows if column != files and column != table.part_column]
    labels = _column(rows, table.label_column, table, others, "label")
    label_of: dict[Path, str] = {}
    part_of: dict[Path, str] = {}
    parts = rows[_column(rows, table.part_column, table, [], "part")] if table.part_column else [""] * len(rows)
    for name, label, part in zip(rows[files], rows[labels], parts, strict=True):
        paths = names.get(name, set())
        if len(paths) > 1:
            raise DataError(table.file, f"{name!r} may be {len(paths)} files", "give their folders as well")
        if not paths or not label:
            left_out["rows without a label" if paths else "rows without a file"] += 1
            continue
        path = next(iter(paths))
        if label_of.setdefault(path, label) != label:
            raise DataError(table.file, f"{name!r} is {label_of[path]!r} and {label!r}", "give each file one label")
        part_of[path] = next((p for p, words in PARTS.items() if str(part).lower() in words), str(part))
    if not label_of:
        raise DataError(table.file, f"names no file of {root}", "check csv.file_column")
    left_out["files that the table does not name"] += len(set().union(*names.values()) - label_of.keys())
    source = _listed(label_of, part_of, where, decode, left_out)
    return replace(source, skipped=skipped(+left_out))


def _listed(
    label_of: dict[Path, str], part_of: dict[Path, str], where: str, decode: Decode, left_out: Counter[str]
) -> FolderSource:
    classes = sorted(set(label_of.values()), key=lambda name: (len(name), name) if name.isdecimal() else (0, name))
    by_class = [sorted(path for path, label in label_of.items() if label == name) for name in classes]
    if set(part_of.values()) == {""}:
        train, test = hold_out(by_class)
        return listing(where, decode, train, test, classes)
    testing = "test" if "test" in part_of.values() else "val"
    for path, part in part_of.items():
        left_out[f"of the part {part!r}"] += part not in ("train", testing)
        if part == "" or (part not in PARTS):
            raise DataError(where, f"its table has the part {part!r} for {path.name}", "use train, test and val")
    train = [[path for path in files if part_of[path] == "train"] for files in by_class]
    test = [[path for path in files if part_of[path] == testing] for files in by_class]
    return listing(where, decode, train, test, classes)


def _rows(table: LabelTable) -> pd.DataFrame:
    import pandas as pd

    try:
        separator = "\t" if table.file.lower().endswith(".tsv") else ","
        rows = pd.read_csv(from_home(table.file), dtype=str, keep_default_na=False, sep=separator, encoding="utf-8-sig")
    except (OSError, ValueError) as error:  # pandas' own are of these
        found = f"cannot be read as a table ({reason(error)})"
        raise DataError(table.file, found, "give a CSV file with a header") from error
    return rows.apply(lambda column: column.str.strip())


def _column(rows: pd.DataFrame, given: str | None, table: LabelTable, likely: Sequence[str], kind: str) -> str:
    """The column's name: the one that is given, or the only one that it can be.

    Raises:
        DataError: there is none of that name, or it cannot be told.
    """
    known = [str(column) for column in rows]
    if given is not None:
        if given not in known:
            raise DataError(table.file, f"no column {given!r}", instead_of(given, known))
        return given
    if len(likely) != 1:
        found = f"which of its columns ({', '.join(known)}) is the {kind} cannot be told"
        raise DataError(table.file, found, f"give csv.{kind}_column")
    return likely[0]
