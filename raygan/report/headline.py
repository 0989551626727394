"""The top of the page: how good, who together, where the time went, in words; then the last samples."""

from __future__ import annotations

from raygan.report.html import Html, picture, section, table, tag
from raygan.report.record import Record, spread
from raygan.report.scores import score_table
from raygan.scores import HEADLINE
from raygan.step import PHASES

STRIP_ROUNDS = 5
FORMER_NAMES = {
    "judge": "discriminator_loss",
    "fool": "generator_loss",
    "body: fool forward": "body: adversarial forward",
    "body: fool backward": "body: adversarial backward",
}
"""Phases and passes of runs that older versions began, under today's names."""


def title_block(record: Record) -> Html:
    """Name, state and the way through the page."""
    config, summary = record.config, record.summary
    done, asked = len(record.rounds), config.training.rounds
    state = _many(done, "round") if done >= asked else f"{done} of {asked} rounds: this run has not ended"
    scenario = f"scenario {config.scenario} of the paper, " if config.scenario else ""
    when = f", finished {summary['finished'].replace('T', ' ')}" if summary else ""
    crowd = f"{_many(config.num_clients, 'client')}, {_many(len(record.domains), 'domain')}"
    text = f"{scenario}{crowd}, {state}, seed {config.seed}{when}"
    links = ("scores", "samples", "clusters", "time", "cuts", "faults", "configuration")
    return tag(
        "header",
        tag("h1", f"raygan run {record.path.name}"),
        tag("p", text, class_="soft"),
        tag("nav", [tag("a", name.capitalize(), href=f"#{name}") for name in links]),
    )


def cards(record: Record) -> Html:
    """Three answers."""
    return tag(
        "div",
        _card("How good are the samples?", *_how_good(record)),
        _card("Which clients went together?", *_who_together(record)),
        _card("Where did the time go?", *_where_time(record)),
        class_="cards",
    )


def _card(question: str, *content: object) -> Html:
    return tag("section", tag("h2", question), *content)


def _how_good(record: Record) -> list[Html]:
    lines = []
    for name, entry in record.scores.items():
        if entry.get(HEADLINE) is None:
            lines.append(tag("p", f"{name}: not scored"))
            continue
        real = entry.get("real") or {}
        mark = f" (real images: {100 * real[HEADLINE]:.0f}%)" if real.get(HEADLINE) else ""
        lines.append(tag("div", f"{name} {100 * entry[HEADLINE]:.0f}%", class_="big"))
        lines.append(tag("p", f"of its samples show the class that was asked for{mark}", class_="soft"))
    return lines or [tag("p", "No round has been scored.")]


def _who_together(record: Record) -> list[Html]:
    if not record.clusters:
        return [tag("p", "No round has ended.")]
    groups: dict[int, dict[str, int]] = {}
    for client, entry in record.clusters[-1]["clients"].items():
        domains = groups.setdefault(entry["cluster"], {})
        domain = record.domain_of.get(int(client), "unknown")
        domains[domain] = domains.get(domain, 0) + 1
    count = len(groups)
    lines = [tag("div", _many(count, "cluster"), class_="big")]
    for number, domains in sorted(groups.items()):
        members = ", ".join(f"{many} of {domain}" for domain, many in domains.items())
        lines.append(tag("p", f"cluster {number}: {members}"))
    agreement = next((entry["cluster_agreement"] for entry in reversed(record.rounds)), None)
    if agreement is not None and len(record.domains) > 1:
        text = f"adjusted Rand index with the true domains {agreement:.2f} (1: equal, 0: chance)"
        lines.append(tag("p", text, class_="soft"))
    return lines


def _where_time(record: Record) -> list[Html]:
    if not record.rounds:
        return [tag("p", "No round has ended.")]
    total = sum(entry["seconds"] for entry in record.rounds)
    lines = [
        tag("div", duration(total), class_="big"),
        tag("p", f"for {_many(len(record.rounds), 'round')}{_rest(record, total)}", class_="soft"),
    ]
    phases = phase_totals(record)
    busy = sum(phases.values())
    for name, seconds in sorted(phases.items(), key=lambda pair: -pair[1])[:3]:
        lines.append(tag("p", f"{100 * seconds / busy:.0f}% {phase_name(name)}"))
    moved = sum(entry["bytes_up"] + entry["bytes_down"] for entry in record.rounds)
    lines.append(tag("p", f"{size(moved)} moved", class_="soft"))
    return lines


def _rest(record: Record, rounds_s: float) -> str:
    """What a run took beside its rounds, where it has ended."""
    if record.summary is None:
        return ""
    rest_s = max(0.0, record.summary["seconds"] - rounds_s)
    return f"; {duration(rest_s)} more for classifiers, checkpoints and scores that training waited for"


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def scores_section(record: Record, charts: list[Html]) -> Html:
    """The last scores and their curves."""
    if not record.scores:
        return section("scores", "Scores", tag("p", "No round has been scored."))
    number = record.scored[-1]["round"]
    head, rows = score_table(record.scores)
    text = (
        "Classifiers trained on each domain's real images judge the samples; a domain's row is the mean over its "
        "clients. Dashed lines in the charts are what real test images score."
    )
    return section(
        "scores",
        f"Scores after round {number}",
        table(head, rows),
        tag("p", text, class_="soft"),
        tag("div", charts, class_="charts"),
    )


def samples_section(record: Record) -> Html:
    """The last picture of each cluster, large, then how each came to be."""
    if not record.pictures:
        return section("samples", "Samples", tag("p", "No picture has been drawn."))
    last = max(number for number, _ in record.pictures)
    final = sorted(cluster for number, cluster in record.pictures if number == last)
    strips = []
    for cluster in sorted({cluster for _, cluster in record.pictures}):
        numbers = spread(sorted(n for n, c in record.pictures if c == cluster), STRIP_ROUNDS)
        strips.append(tag("h3", f"Cluster {cluster} through the rounds"))
        strips.append(tag("div", [_figure(record, number, cluster) for number in numbers], class_="strip"))
    large = tag("div", [_figure(record, last, cluster) for cluster in final], class_="strip large")
    return section("samples", f"Samples after round {last}", large, strips)


def _figure(record: Record, number: int, cluster: int) -> Html:
    text = f"samples of cluster {cluster} after round {number}"
    content = record.pictures[(number, cluster)].read_bytes()
    return tag("figure", picture(content, text), tag("figcaption", f"round {number}, cluster {cluster}"))


def phase_totals(record: Record) -> dict[str, float]:
    """Seconds of work by phase over all rounds, summed over actors; the body's have names that begin so."""
    totals: dict[str, float] = {}
    for entry in record.rounds:
        phases: dict[str, float] = dict(entry.get("phase_seconds") or {})
        phases |= {f"body: {name}": seconds for name, seconds in (entry.get("body_seconds") or {}).items()}
        for written, seconds in phases.items():
            name = FORMER_NAMES.get(written, written)
            totals[name] = totals.get(name, 0.0) + seconds
    return {name: seconds for name, seconds in totals.items() if seconds > 0}


def phase_name(name: str) -> str:
    """The phase in words."""
    return f"clients: {PHASES[name].words}" if name in PHASES else name.replace("_", " ")


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    if seconds < 6000:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"


def size(num_bytes: float) -> str:
    """Bytes as a person says them."""
    for unit in ("B", "kB", "MB", "GB"):
        if num_bytes < 1000:
            return f"{num_bytes:.3g} {unit}"
        num_bytes /= 1000
    return f"{num_bytes:.3g} TB"
