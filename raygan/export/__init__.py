"""A generator as a file that stands alone: `raygan export`, and reading it back."""

from raygan.export.card import Card
from raygan.export.reading import is_export, read_export
from raygan.export.writing import FORMATS, write_export

__all__ = ["FORMATS", "Card", "is_export", "read_export", "write_export"]
