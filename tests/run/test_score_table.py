"""What bears on scores beside them: one model for domains that give the same numbers to different classes."""

from __future__ import annotations

from raygan.run.score_table import capped, mixed_domains

DIGITS, CLOTHES = ("0", "1", "2"), ("Shirt", "Dress", "Coat")
CLASSES = {"a": DIGITS, "b": DIGITS, "c": CLOTHES}


def mixed(*serves: str) -> dict[str, list[str]]:
    """Of these domains; the models of each."""
    scores = {name: {"clusters": {model: {} for model in models}} for name, models in zip(CLASSES, serves, strict=True)}
    return mixed_domains(CLASSES, scores)


def test_a_model_for_domains_whose_classes_differ_is_told_and_one_for_alike_ones_is_not() -> None:
    assert mixed("0", "0", "1") == {}
    assert mixed("0", "01", "1") == {"1": ["b", "c"]}
    assert mixed_domains({"a": DIGITS}, {name: {"clusters": {"0": {}}} for name in "az"}) == {}, "one is not known"
    assert mixed("0", "0", "0") == {"0": ["a", "b", "c"]}


def test_it_says_what_can_be_reached() -> None:
    start = "b and c, whose classes share label numbers: about "
    assert capped(["b", "c"]) == f"{start}half of its samples can show the class asked for"
    assert "a, b and c, whose classes share label numbers: about one in 3 of" in capped(["a", "b", "c"])
