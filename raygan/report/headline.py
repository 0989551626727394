"""The top of the page: how good, who together, where the time went, in words; then the last samples."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import suppress

from rich.filesize import decimal

from raygan.algorithms import algorithm_of
from raygan.data import domain_names
from raygan.errors import InputError
from raygan.report.html import Html, picture, section, sound, table, tag
from raygan.report.record import Record, spread
from raygan.run.score_table import score_table
from raygan.scores import HEADLINE, fid_bias
from raygan.step import PHASES

STRIP_ROUNDS, MAX_STRIP_BYTES = 5, 2_000_000
"""Pictures of each model on the way, as long as all together are no larger than this."""
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
    text = f"{scenario}{algorithm_of(config.algorithm).shown()}, {crowd}, {state}, seed {config.seed}{when}"
    links = ("scores", "samples", "clusters", "time", "cuts", "faults", "configuration", "terms")
    return tag(
        "header",
        tag("h1", f"raygan run {record.run.path.name}"),
        tag("p", text, class_="soft"),
        tag("nav", [tag("a", name.capitalize(), href=f"#{name}") for name in links]),
    )


def cards(record: Record) -> Html:
    """Three answers."""
    answers = {
        "How good are the samples?": _how_good(record),
        "Which clients went together?": _who_together(record),
        "Where did the time go?": _where_time(record),
    }
    return tag("div", [tag("section", tag("h2", name), text) for name, text in answers.items()], class_="cards")


def _how_good(record: Record) -> list[Html]:
    lines = []
    for name, entry in record.scores.items():
        if entry.get(HEADLINE) is None:
            lines.append(tag("p", f"{name}: not scored"))
            continue
        real = (entry.get("real") or {}).get(HEADLINE)
        mark = f" (real images: {100 * real:.0f}%)" if real else ""
        lines.append(tag("div", f"{name} {100 * entry[HEADLINE]:.0f}%", class_="big"))
        lines.append(tag("p", f"of its samples show the class that was asked for{mark}", class_="soft"))
    return lines or [tag("p", "No round has been scored.")]


def _who_together(record: Record) -> list[Html]:
    if not record.clusters:
        return [tag("p", no_clusters(record))]
    groups: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for client, entry in record.clusters[-1]["clients"].items():
        groups[entry["cluster"]][record.domain_of.get(int(client), "unknown")] += 1
    lines = [tag("div", _many(len(groups), "cluster"), class_="big")]
    for number, domains in sorted(groups.items()):
        members = ", ".join(f"{many} of {domain}" for domain, many in domains.items())
        lines.append(tag("p", f"cluster {number}: {members}"))
    agreement = next((entry.get("cluster_agreement") for entry in reversed(record.rounds)), None)
    if agreement is not None and len(record.domains) > 1:
        text = f"adjusted Rand index with the true domains {agreement:.2f} (1: equal, 0: chance)"
        lines.append(tag("p", text, class_="soft"))
    return lines


def no_clusters(record: Record) -> str:
    """Why there are none."""
    makes_some = "clusters" in algorithm_of(record.config.algorithm).record_names
    return "No round has ended." if makes_some else f"{record.config.algorithm!r} makes no clusters."


def _where_time(record: Record) -> list[Html | None]:
    if not record.rounds:
        return [tag("p", "No round has ended.")]
    parts = _parts_of_wall_clock(record)
    total_s = sum(parts.values())
    phases = phase_totals(record)
    busy = sum(phases.values())
    moved = sum(entry["bytes_up"] + entry["bytes_down"] for entry in record.rounds)
    longest = ", ".join(f"{100 * s / busy:.0f}% {phase_name(name)}" for name, s in list(phases.items())[:3])
    return [
        tag("div", duration(total_s), class_="big"),
        tag("p", f"for {_many(len(record.rounds), 'round')}, of which", class_="soft"),
        *(tag("p", f"{100 * s / total_s:.0f}% {name}, {duration(s)}") for name, s in parts.items() if total_s),
        tag("p", f"Of the actors' work: {longest}", class_="soft") if longest else None,
        tag("p", f"{decimal(moved)} moved", class_="soft"),
    ]


def _parts_of_wall_clock(record: Record) -> dict[str, float]:
    """Seconds from the first round's beginning to the summary; of a run that has not ended, of its rounds."""
    parts = {
        "steps, with waiting for the slowest": sum(entry["train_seconds"] for entry in record.rounds),
        "ends of rounds: clustering, weighing, averaging": sum(entry["end_seconds"] for entry in record.rounds),
    }
    if record.summary is not None:
        rest_s = record.summary["seconds"] - sum(parts.values())
        parts["classifiers, checkpoints and scores that training waited for"] = max(0.0, rest_s)
    return parts


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def scores_section(record: Record, charts: list[Html], losses: list[Html]) -> Html:
    """The last scores, their curves and those of the losses."""
    curves = tag("div", charts, losses, class_="charts")
    if not record.scores:
        return section("scores", "Scores", tag("p", "No round has been scored."), curves)
    text = (
        "Classifiers trained on each domain's real images judge the samples; a domain's row is the mean over its "
        "clients. Dashed lines in the charts are what real test images score."
    )
    return section(
        "scores",
        f"Scores after round {record.scored[-1]['round']}",
        table(*score_table(record.scores, record.run.model_kind)),
        tag("p", text, class_="soft"),
        tag("p", _biases(record) or None, class_="soft"),
        curves,
    )


def _biases(record: Record) -> str:
    """What few test images do to the FID of a domain."""
    with suppress(InputError):  # without domains.json nobody knows how many there are
        infos = record.run.infos
        names = domain_names(record.config.data)
        told = [(name, fid_bias(info.num_test)) for name, info in zip(names, infos, strict=True)]
        return " ".join(f"{name} has {bias}." for name, bias in told if bias)
    return ""


def _strip_rounds(record: Record, rounds: Mapping[int, list[int]]) -> int:
    """How many pictures of a model are shown on the way, so that the page stays light."""
    for count in range(STRIP_ROUNDS, 1, -1):
        shown = [record.pictures[n, model] for model, numbers in rounds.items() for n in spread(numbers, count)]
        if sum(path.stat().st_size for path in shown) <= MAX_STRIP_BYTES:
            return count
    return 1


def samples_section(record: Record) -> Html:
    """The last picture of each model, large, then how each came to be."""
    if not record.pictures:
        return section("samples", "Samples", tag("p", "No picture has been drawn."))
    rounds: defaultdict[int, list[int]] = defaultdict(list)
    for number, model in sorted(record.pictures):
        rounds[model].append(number)
    last = max(number for number, _ in record.pictures)
    large = [_figure(record, last, model) for model in sorted(rounds) if last in rounds[model]]
    heard = [_heard(record, last, model) for model in sorted(rounds) if last in rounds[model]]
    strips, count = [], _strip_rounds(record, rounds)
    for model, numbers in sorted(rounds.items()):
        strips.append(tag("h3", f"{record.run.model_kind} {model} through the rounds".capitalize()))
        shown = [_figure(record, number, model) for number in spread(numbers, count)]
        hidden = len(numbers) - len(shown)
        told = f"{len(shown)} of {len(numbers)} rounds" if hidden else _many(len(numbers), "round")
        strips.append(tag("p", f"{told}, the last to the right", class_="soft"))
        strips.append(tag("div", shown, class_="strip"))
    return section("samples", f"Samples after round {last}", tag("div", large, class_="strip large"), heard, strips)


def _figure(record: Record, number: int, model: int) -> Html:
    name = f"{record.run.model_kind} {model}"
    content = record.pictures[number, model].read_bytes()
    image = picture(content, f"samples of {name} after round {number}")
    return tag("figure", image, tag("figcaption", f"round {number}, {name}"))


def _heard(record: Record, number: int, model: int) -> Html | None:
    """What the evaluator put beside the picture of recordings: one sample a class, one after the other."""
    file = record.pictures[number, model].with_suffix(".wav")
    if not file.is_file() or file.is_symlink():
        return None
    caption = f"{record.run.model_kind} {model} after round {number}: one sample a class, in the picture's order"
    return tag("figure", sound(file.read_bytes()), tag("figcaption", caption))


def phase_totals(record: Record) -> dict[str, float]:
    """Seconds of work by phase, summed over rounds and actors, longest first; the body's have names that begin so."""
    totals: defaultdict[str, float] = defaultdict(float)
    for entry in record.rounds:
        body = {f"body: {name}": seconds for name, seconds in (entry.get("body_seconds") or {}).items()}
        for name, seconds in {**(entry.get("phase_seconds") or {}), **body}.items():
            totals[FORMER_NAMES.get(name, name)] += seconds
    return dict(sorted(((k, s) for k, s in totals.items() if s > 0), key=lambda pair: -pair[1]))


def phase_name(name: str) -> str:
    """The phase in words."""
    return f"clients: {PHASES[name].words}" if name in PHASES else name.replace("_", " ")


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 1:
        return f"{1000 * seconds:.1f} ms"
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
