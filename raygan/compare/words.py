"""A comparison's numbers as people read them, and its answer in one sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from raygan.run.score_table import capped
from raygan.scores import SCORES

SHARES = {score.reported for score in SCORES.values() if score.is_share}


def value_in_words(name: str, value: float, sign: str = "") -> str:
    """A score; of a share, percent."""
    return f"{100 * value:{sign}.1f}%" if name in SHARES else f"{value:{sign}.3g}"


def variant_in_words(variant: Mapping[str, Any]) -> str:
    """Its name and, where its algorithm is in somebody's style, whose."""
    return f"{variant['name']} ({variant['style']})" if variant["style"] else str(variant["name"])


def score_names(document: Mapping[str, Any]) -> list[str]:
    """The scores that any variant has, in their order."""
    return list(dict.fromkeys(name for variant in document["variants"] for name in variant["scores"]))


def score_in_words(name: str, spread: Mapping[str, Any] | None) -> str:
    """Mean and standard deviation."""
    if not spread:
        return "-"
    shown = value_in_words(name, spread["mean"])
    return shown if spread["std"] is None else f"{shown} \u00b1 {value_in_words(name, spread['std'])}"


def difference_in_words(name: str, found: Mapping[str, Any] | None) -> str:
    """The mean, its interval, and the sign test."""
    if not found:
        return "-"
    ends = [value_in_words(name, found[end], "+") for end in ("low", "high") if found[end] is not None]
    inside = f" ({' to '.join(ends)})" if ends else ""
    test = "" if found["p"] is None else f", p {found['p']:.2g}"
    pairs = found["better"] + found["worse"]
    return f"{value_in_words(name, found['mean'], '+')}{inside}, better in {found['better']} of {pairs} pairs{test}"


def cost(variant: Mapping[str, Any], name: str, shown: Callable[[float], str]) -> str:
    """One of a variant's costs; a dash where it is not known."""
    value = variant["costs"].get(name)
    return "-" if value is None else shown(value)


def who_sits_out(variant: Mapping[str, Any]) -> str:
    """The devices that cannot hold it, with their clients; empty: there are none."""
    found = [f"{name}, whose {count} clients sit out" for name, count in variant["sit_out"].items()]
    return f"; more than has {' and '.join(found)}" if found else ""


def capped_variants(document: Mapping[str, Any]) -> list[str]:
    """A line for those of which one model serves several domains that share label numbers."""
    found: dict[tuple[str, ...], list[str]] = {}
    for variant in document["variants"]:
        if variant["mixes"]:
            found.setdefault(tuple(variant["mixes"]), []).append(variant_in_words(variant))
    return [f"One model of {', '.join(names)} serves {capped(domains)}." for domains, names in found.items()]


def answer(document: Mapping[str, Any]) -> str:
    """Which is best, by how much, at what cost."""
    metric, reference = document["metric"], document["reference"]
    known = [variant for variant in document["variants"] if metric in variant["scores"]]
    if not known:
        return "No variant has ended with a score."
    best = known[0]
    text = f"Best: {best['name']} ({metric.replace('_', ' ')} {score_in_words(metric, best['scores'][metric])})"
    if best["name"] != reference:
        found = best["differences"].get(metric)
        return f"{text}; against {reference} {difference_in_words(metric, found)}.{_price(best, document)}"
    if len(known) == 1:
        return f"{text}."
    second = known[1]
    found = second["differences"].get(metric)
    return f"{text}; next {second['name']}, {difference_in_words(metric, found)}.{_price(best, document)}"


def _price(best: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    """Its bytes against the others' least."""
    mine = best["costs"].get("bytes_per_client")
    others = {
        v["name"]: v["costs"]["bytes_per_client"]
        for v in document["variants"]
        if v is not best and v["costs"].get("bytes_per_client")
    }
    if not mine or not others:
        return ""
    name = min(others, key=lambda other: others[other])
    return f" Its clients send and receive {mine / others[name]:.3g} times the bytes of {name}'s."
