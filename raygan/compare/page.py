"""A comparison as one self-contained HTML page: the answer first, then scores, costs, curves and samples."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.filesize import decimal

from raygan.compare.pictures import samples_of
from raygan.compare.words import (
    answer,
    cost,
    difference_in_words,
    score_in_words,
    score_names,
    variant_in_words,
)
from raygan.report.html import Html, page, picture, section, table, tag

ANCHORS = ("scores", "domains", "costs", "curves", "samples")


def comparison_page(name: str, document: Mapping[str, Any], curves: bytes) -> str:
    """The page.

    Args:
        name: the comparison's.
        curves: its picture of curves.
    """
    return page(
        f"raygan compare {name}",
        _title(name, document),
        _scores(document),
        _domains(document),
        _costs(document),
        section("curves", "On the way", picture(curves, "the score over client steps and predicted seconds", "wide")),
        _samples(document),
    )


def _title(name: str, document: Mapping[str, Any]) -> Html:
    seeds = ", ".join(map(str, document["seeds"]))
    crowd = f"{document['clients']} clients, {len(document['domains'])} domains, {document['rounds']} rounds"
    return tag(
        "header",
        tag("h1", document["question"]),
        tag("p", answer(document)),
        tag("p", f"{name}: {len(document['variants'])} variants, {crowd}, seeds {seeds}", class_="soft"),
        tag("nav", [tag("a", anchor.capitalize(), href=f"#{anchor}") for anchor in ANCHORS]),
    )


def _scores(document: Mapping[str, Any]) -> Html:
    names, reference = score_names(document), document["reference"]
    head = ["variant", *(name.replace("_", " ") for name in names), f"{document['metric']} against {reference}"]
    rows = [
        [
            variant_in_words(variant),
            *(score_in_words(name, variant["scores"].get(name)) for name in names),
            difference_in_words(document["metric"], variant["differences"].get(document["metric"])),
        ]
        for variant in document["variants"]
    ]
    words = (
        "Mean over the domains, each of which is the mean over its clients of the score of the model that serves them; "
        "\u00b1: standard deviation over the seeds. Differences are of equal seeds, with the 95% interval of their mean "
        "and a sign test over pairs of seed and domain."
    )
    return section("scores", "Scores", table(head, rows), tag("p", words, class_="soft"))


def _domains(document: Mapping[str, Any]) -> Html:
    parts = []
    for name in score_names(document):
        rows = [
            [variant_in_words(variant), *(score_in_words(name, of.get(domain)) for domain in document["domains"])]
            for variant in document["variants"]
            if (of := variant["scores"].get(name, {}).get("domains", {}))
        ]
        parts += [tag("h3", name.replace("_", " ")), table(["variant", *document["domains"]], rows)]
    return section("domains", "By domain", parts)


def _costs(document: Mapping[str, Any]) -> Html:
    head = (
        "variant", "an iteration, predicted", "a round, predicted", "memory of a device, most",
        "bytes a client and round", "seconds a round here", "records that leave a client",
    )  # fmt: skip
    rows = [
        [
            variant_in_words(variant),
            cost(variant, "iteration_s", lambda s: f"{s:.3g} s"),
            cost(variant, "round_s", lambda s: f"{s:.3g} s"),
            cost(variant, "memory_bytes", lambda b: decimal(int(b))),
            cost(variant, "bytes_per_client", lambda b: decimal(int(b))),
            cost(variant, "seconds", lambda s: f"{s:.1f} s"),
            ", ".join(variant["leaves"]),
        ]
        for variant in document["variants"]
    ]
    words = (
        "Predicted by the planner's model of devices and links, not measured. central is the line that no federation "
        "reaches: it has every client's images. What each algorithm does and sends is in raygan/docs/algorithms.md."
    )
    return section("costs", "Costs", table(head, rows), tag("p", words, class_="soft"))


def _samples(document: Mapping[str, Any]) -> Html:
    figures = []
    for variant in document["variants"]:
        for run in variant["runs"][:1]:
            figures += [
                tag(
                    "figure",
                    picture(file.read_bytes(), f"samples of {variant['name']} for {domain}"),
                    tag("figcaption", f"{variant_in_words(variant)}: {domain}"),
                )
                for domain, file in samples_of(Path(run)).items()
            ]
    words = "Of the first seed, after the last scored round: the model that serves most of a domain's clients."
    return section("samples", "Samples", tag("p", words, class_="soft"), tag("div", figures, class_="strip"))
