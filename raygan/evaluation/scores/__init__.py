"""One file a score; `raygan/scores.py` has a row for each."""
