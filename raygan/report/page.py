"""A run's page, report.html, from what is stored of it."""

from __future__ import annotations

from raygan.markup import render
from raygan.report.about import about_the_run
from raygan.report.clusters import no_clusters, weights
from raygan.report.curves import loss_charts, score_charts, training_charts
from raygan.report.cuts import planned_cuts
from raygan.report.headline import headline
from raygan.report.paper import beside_the_paper
from raygan.report.privacy import audited, budgets
from raygan.report.record import Record
from raygan.report.samples import samples_by_round
from raygan.report.scores import last_scores
from raygan.report.terms import TERMS, terms_of
from raygan.report.timing import time_and_bytes
from raygan.step import PHASES

ANCHORS = ("scores", "samples", "clusters", "time", "cuts", "faults", "run", "configuration", "terms")
EXPLAINED = ("scores", "samples", "clusters", "time", "cuts")
"""Sections whose words are explained in them."""


def page_of(record: Record) -> str:
    """The page: answers first, then what they rest on."""
    return render(
        "report.html",
        title=f"raygan run {record.run.path.name}",
        anchors=ANCHORS,
        **headline(record),
        **last_scores(record),
        curves=[*score_charts(record), *loss_charts(record)],
        samples=samples_by_round(record),
        paper=beside_the_paper(record),
        members=weights(record),
        no_clusters=no_clusters(record),
        **time_and_bytes(record),
        statistics=training_charts(record),
        cuts=planned_cuts(record),
        budget=budgets(record),
        privacy=audited(record),
        **about_the_run(record),
        glossary=TERMS,
        terms={section: terms_of(section) for section in EXPLAINED},
        phases=[phase.words for phase in PHASES.values()],
    )
