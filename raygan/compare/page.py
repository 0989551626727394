"""A comparison as one self-contained HTML page: the answer first, then scores, costs, curves and samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.filesize import decimal

from raygan.compare.pictures import samples_of
from raygan.compare.words import (
    answer,
    capped_variants,
    cost,
    difference_in_words,
    score_in_words,
    score_names,
    variant_in_words,
    who_sits_out,
)
from raygan.markup import Picture, Table, render
from raygan.report.terms import terms_of


def comparison_page(name: str, document: Mapping[str, Any], curves: bytes) -> str:
    """The page.

    Args:
        name: the comparison's.
        curves: its picture of curves.
    """
    seeds = ", ".join(map(str, document["seeds"]))
    crowd = f"{document['clients']} clients, {len(document['domains'])} domains, {document['rounds']} rounds"
    return render(
        "compare.html",
        title=f"raygan compare {name}",
        question=document["question"],
        answer=answer(document),
        about=f"{name}: {len(document['variants'])} variants, {crowd}, seeds {seeds}",
        scores=_scores(document),
        capped=capped_variants(document),
        terms=terms_of("scores"),
        domains=list(_domains(document)),
        costs=_costs(document),
        curves=Picture(curves, "the score over client steps and predicted seconds", "plot"),
        samples=list(_samples(document)),
    )


def _scores(document: Mapping[str, Any]) -> Table:
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
    return Table(head, rows)


def _domains(document: Mapping[str, Any]) -> Iterator[Table]:
    for name in score_names(document):
        rows = [
            [variant_in_words(variant), *(score_in_words(name, of.get(domain)) for domain in document["domains"])]
            for variant in document["variants"]
            if (of := variant["scores"].get(name, {}).get("domains", {}))
        ]
        yield Table(["variant", *document["domains"]], rows, title=name.replace("_", " "))


def _costs(document: Mapping[str, Any]) -> Table:
    head = (
        "variant", "an iteration, predicted", "a round, predicted", "memory of a device, most",
        "bytes a client and round", "a round here", "records that leave a client",
    )  # fmt: skip
    rows = [
        [
            variant_in_words(variant),
            cost(variant, "iteration_s", lambda s: f"{s:.3g} s"),
            cost(variant, "round_s", lambda s: f"{s:.3g} s"),
            cost(variant, "memory_bytes", lambda b: decimal(int(b))) + who_sits_out(variant),
            cost(variant, "bytes_per_client", lambda b: decimal(int(b))),
            cost(variant, "seconds", lambda s: f"{s:.1f} s"),
            ", ".join(variant["leaves"]),
        ]
        for variant in document["variants"]
    ]
    return Table(head, rows)


def _samples(document: Mapping[str, Any]) -> Iterator[Picture]:
    for variant in document["variants"]:
        for run in variant["runs"][:1]:
            for domain, file in samples_of(Path(run)).items():
                text = f"samples of {variant['name']} for {domain}"
                yield Picture(file.read_bytes(), text, "images", f"{variant_in_words(variant)}: {domain}")
