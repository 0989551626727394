"""The commands and their options; what they do is in the modules that they import when they are called."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn, cast, get_args

import typer
from typer import Argument, Option
from typer.core import TyperGroup

import raygan
from raygan.cli.going_on import GOING_ON
from raygan.cli.signals import stopping_on_signals
from raygan.cli.streams import outlive_readers
from raygan.cli.warned import told_in_lines
from raygan.errors import InputError, StoppedError, reason
from raygan.names import Weights
from raygan.simulation.waiting import sleep_soon

GOES_ON = {"tune": "; a search goes on with raygan tune --resume DIR"}
"""What a person who has stopped a command may want to know, where the command does not say it itself."""

CHECK_PATH = "check the path, its disk and your rights there"

_UsageError: type[Exception] = typer.BadParameter.__mro__[1]  # click's, or that of a typer which brings its own click


class _Commands(TyperGroup):
    """The commands; one that is written wrongly is one line, as all other bad input."""

    def make_context(self, *args: Any, **options: Any) -> Any:
        """As the base has it: reads the options before the command's name."""
        with _usage():
            return super().make_context(*args, **options)

    def invoke(self, ctx: Any) -> Any:
        """As the base has it: reads the command's arguments and runs it."""
        with _usage():
            return super().invoke(ctx)


@contextmanager
def _usage() -> Iterator[None]:
    try:
        yield
    except _UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            raise
        context, found = error.ctx, error.format_message().rstrip(".")  # type: ignore[attr-defined]
        command = None if context is None or context.parent is None else context.info_name
        see = "see raygan --help" if command is None else f"see raygan {command} --help"
        raise InputError(command or "arguments", found, see) from None


app = typer.Typer(
    cls=_Commands,
    help="Train conditional GANs over devices that may not share their data.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"raygan {raygan.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, Option("--version", is_eager=True, callback=_version, help="Print the version and exit.")
    ] = False,
    verbose: Annotated[bool, Option("--verbose", help="Show the traceback behind an error.")] = False,
) -> None:
    pass


Quiet = Annotated[bool, Option("--quiet", "-q", help="Warnings and errors alone.")]
VERBOSE = {"-v", "--verbose"}
Verbose = Annotated[bool, Option("--verbose", "-v", help="More: each round's seconds and bytes, progress every 5 s.")]
VerboseTrials = Annotated[
    bool, Option("--verbose", "-v", help="More: what each trial reports of a round, how far all are every 5 s.")
]
LogFile = Annotated[Path | None, Option(help="Append every line to this file, with the time.")]
ConfigFile = Annotated[Path | None, Argument(help="Configuration (YAML). None: the two-domain demo.")]
Address = Annotated[str | None, Option(help="Ray cluster to join, such as auto.")]
AsJson = Annotated[bool, Option("--json", help="One JSON document, nothing else.")]
Overrides = Annotated[
    list[str] | None,
    Option("--set", metavar="KEY=VALUE", help="Change one key, such as training.rounds=10. Repeatable."),
]

RunFolder = Annotated[Path, Argument(metavar="RUN", help="A run's folder.")]
Trust = Annotated[bool, Option("--trust", help="Load the code that the run's configuration names.")]
Round = Annotated[int | None, Option("--round", help="Round, from 1. Default: the last kept.")]


@app.command()
def train(
    config: ConfigFile = None,
    overrides: Overrides = None,
    out: Annotated[
        str | None,
        Option(help="The run's folder, or a URI (s3://...) for a copy. Default: a new one in runs/."),
    ] = None,
    resume: Annotated[str | None, Option(help="Continue the run in this folder or at this URI.")] = None,
    address: Address = None,
    wait_for_nodes: Annotated[
        float | None, Option(metavar="SECONDS", min=0, help="Wait so long for nodes that are not there yet.")
    ] = None,
    dry_run: Annotated[bool, Option("--dry-run", help="Show configuration, actors and cuts; train nothing.")] = False,
    in_process: Annotated[bool, Option("--in-process", help="Without Ray: the same numbers from one process.")] = False,
    tensorboard: Annotated[bool, Option("--tensorboard", help="Event files in RUN/tensorboard.")] = False,
    callback: Annotated[
        list[str] | None,
        Option(metavar="NAME[={...}]", help="Log to wandb or mlflow too, as wandb={project: mine}. Repeatable."),
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    log_file: LogFile = None,
) -> None:
    """Train, cluster, weigh, aggregate, score and draw."""
    if in_process:
        sleep_soon()  # before torch is there
    from raygan.cli.callbacks import named_callbacks
    from raygan.cli.screen import make_screen
    from raygan.config.loading import read_config

    screen = make_screen(quiet, verbose, log_file)
    also = {"tensorboard": tensorboard, "callbacks": named_callbacks(callback or [])}
    if resume is not None:
        from raygan.cli.train import resume_and_show, show_resumed_plan

        if config or out is not None:
            found = "given together with a configuration or --out"
            raise InputError("--resume", found, "give --resume, with --set for what may change: the run has its own")
        if dry_run:
            show_resumed_plan(resume, overrides or [], address, wait_for_nodes)
            return
        resume_and_show(resume, overrides or [], address, in_process, wait_for_nodes, screen, also)
        return
    changes = [*(overrides or []), *([f"ray.address={address}"] if address else [])]
    if wait_for_nodes is not None:
        changes.append(f"ray.wait_for_nodes_s={wait_for_nodes}")
    settings = read_config(config, changes)
    if not (dry_run or in_process):
        from raygan.runtime.ray import ahead

        ahead.begin(settings)  # before torch is imported, which takes as long
    from raygan.cli.train import show_plan, train_and_show

    if dry_run:
        show_plan(settings, out)
    else:
        train_and_show(settings, out, in_process, screen, also)


@app.command()
def cuts(
    config: ConfigFile = None,
    overrides: Overrides = None,
    solver: Annotated[str | None, Option(help="exact, ga or fixed; as --set cuts.solver.")] = None,
    as_json: AsJson = False,
    out: Annotated[Path | None, Option(help="Timeline (PNG). Default: cuts.png here; with --json none.")] = None,
    leakage: Annotated[
        bool,
        Option(
            "--leakage",
            help="What each cut tells, by attacks: on the last kept round of a RUN, given in CONFIG's place, "
            "else on untrained networks.",
        ),
    ] = False,
    replicas: Annotated[
        str | None, Option(help="Instead: how fast so many replicas of the body would be: 1,2,4,8.")
    ] = None,
    trust: Trust = False,
) -> None:
    """Choose where each device's networks are cut, prove it, and compare; trains nothing."""
    from raygan.cli.cuts import show_study
    from raygan.config.loading import read_config

    changes = [*(overrides or []), *([f"cuts.solver={solver}"] if solver else [])]
    if replicas is not None:
        other = "--leakage" if leakage else "--out" if out is not None else None
        if other is not None:
            raise InputError("--replicas", f"given with {other}", "give one of them")
    if leakage:
        from raygan.cli.audit import leakage_for

        settings, found = leakage_for(config, changes, trust, as_json)
        show_study(settings, out, as_json, found)
    elif replicas is not None:
        from raygan.cli.replicas import show_replicas

        show_replicas(read_config(config, changes), replicas, as_json)
    else:
        show_study(read_config(config, changes), out, as_json)


@app.command()
def tune(
    search: Annotated[
        Path | None, Argument(help="A search, such as tune_configs/smoke.yaml.", metavar="SEARCH.yaml")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change one key of the search, such as samples=4 or base.training.rounds=10. Repeatable.",
        ),
    ] = None,
    out: Annotated[Path | None, Option(help="The search's folder. Default: a new one under runs/.")] = None,
    resume: Annotated[Path | None, Option(help="Continue the search in this folder.")] = None,
    address: Address = None,
    quiet: Quiet = False,
    verbose: VerboseTrials = False,
    log_file: LogFile = None,
) -> None:
    """Search over configurations: every trial is a whole federation."""
    from raygan.cli.screen import make_screen
    from raygan.cli.tune import resume_and_show, search_and_show

    screen = make_screen(quiet, verbose, log_file)
    if resume is not None:
        if search or overrides or out:
            found = "given together with a search, --set or --out"
            raise InputError("--resume", found, "give --resume alone: the search's own file is used")
        raise typer.Exit(resume_and_show(resume, address, screen))
    if search is None:
        raise InputError("raygan tune", "no search", "give a file such as tune_configs/smoke.yaml")
    changes = [*(overrides or []), *([f"base.ray.address={address}"] if address else [])]
    raise typer.Exit(search_and_show(search, changes, out, screen))


@app.command()
def compare(
    file: Annotated[
        Path | None,
        Argument(
            help="A comparison, such as tune_configs/compare_smoke.yaml. Default: all algorithms on the demo.",
            metavar="COMPARE.yaml",
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change one key of the comparison, such as seeds=[0,1] or base.training.rounds=10. Repeatable.",
        ),
    ] = None,
    out: Annotated[Path | None, Option(help="The comparison's folder. Default: a new one under runs/.")] = None,
    resume: Annotated[Path | None, Option(help="Continue the comparison in this folder.")] = None,
    address: Address = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: VerboseTrials = False,
    log_file: LogFile = None,
) -> None:
    """Train by several algorithms or settings, and say which is best, by how much, at what cost."""
    from raygan.cli.compare import compare_and_show, resume_and_show
    from raygan.cli.screen import make_screen

    screen = make_screen(quiet, verbose, log_file, stderr=as_json)
    if resume is not None:
        if file or overrides or out:
            found = "given together with a comparison, --set or --out"
            raise InputError("--resume", found, "give --resume alone: the comparison's own file is used")
        raise typer.Exit(resume_and_show(resume, address, as_json, screen))
    changes = [*(overrides or []), *([f"base.ray.address={address}"] if address else [])]
    raise typer.Exit(compare_and_show(file, changes, out, as_json, screen))


WhichWeights = Annotated[
    str | None,
    Option("--weights", metavar="average|last", help="Of the generators. Default: as evaluation.weights says."),
]
Cluster = Annotated[int | None, Option("--cluster", "--model", help="Whose generator. Default: the first.")]


def _checked(weights: str | None) -> Weights | None:
    """One of the names that `evaluation.weights` takes."""
    for known in get_args(Weights):
        if weights == known:
            return cast(Weights, known)
    if weights is not None:
        raise InputError("--weights", repr(weights), f"give {' or '.join(get_args(Weights))}")
    return None


@app.command()
def evaluate(
    run: RunFolder,
    round_number: Round = None,
    usefulness_images: Annotated[
        int | None,
        Option(help="Also train a CNN on so many generated images of each domain (the paper: 30000)."),
    ] = None,
    weights: WhichWeights = None,
    trust: Trust = False,
    as_json: AsJson = False,
) -> None:
    """Compute the scores of a kept round again, from its checkpoint and without Ray."""
    from raygan.cli.evaluate import show_scores
    from raygan.cli.trust import check_trust
    from raygan.run.stored import Run

    found = Run.load(run)
    check_trust(found.config, trust, reads_data=True)
    show_scores(found, round_number, usefulness_images, as_json, _checked(weights))


@app.command()
def audit(
    run: RunFolder,
    round_number: Round = None,
    attacks: Annotated[
        str | None,
        Option(help="Some of inversion,labels,distance_correlation,membership. Default: all."),
    ] = None,
    trust: Trust = False,
    as_json: AsJson = False,
) -> None:
    """Attack a kept round as a curious server would: what is told of images, labels and membership?"""
    from raygan.cli.trust import check_trust
    from raygan.privacy.document import parse_attacks
    from raygan.run.stored import Run

    chosen, found = parse_attacks(attacks), Run.load(run)
    check_trust(found.config, trust, reads_data=True)
    from raygan.cli.audit import audit_and_show

    audit_and_show(found, round_number, chosen, as_json)


@app.command()
def sample(
    run: Annotated[Path, Argument(metavar="RUN", help="A run's folder, or a file of raygan export.")],
    cluster: Cluster = None,
    labels: Annotated[
        str | None, Option(help="Such as 0,1,2 or cat,dog. Default: all classes of its clients' domains.")
    ] = None,
    count: Annotated[int, Option(help="Images of each label.")] = 10,
    round_number: Round = None,
    seed: Annotated[int, Option(help="The same seed gives the same images.")] = 0,
    out: Annotated[Path, Option(help="A picture (.png), arrays (.npz) or, of recordings, a sound (.wav).")] = Path(
        "samples.png"
    ),
    weights: WhichWeights = None,
    trust: Trust = False,
) -> None:
    """Draw images from the generator of a cluster (or other model), as a grid or as arrays."""
    from raygan.cli.sample import Wanted, sample_export, sample_run
    from raygan.cli.trust import check_trust
    from raygan.export import is_export
    from raygan.run.stored import Run

    wanted = Wanted(labels, count, seed, out)
    if is_export(run):
        if any(given is not None for given in (cluster, round_number, weights)):
            found = "given with --cluster, --round or --weights"
            raise InputError(str(run), found, "leave them out: it is one generator")
        print(sample_export(run, trust, wanted))
        return
    opened = Run.load(run)
    check_trust(opened.config, trust)
    print(sample_run(opened, cluster, round_number, wanted, _checked(weights)))


@app.command()
def export(
    run: RunFolder,
    cluster: Cluster = None,
    kind: Annotated[
        str,
        Option("--format", help="torch (.pt2), onnx (needs the extra onnx) or safetensors (parameters alone)."),
    ] = "torch",
    round_number: Round = None,
    out: Annotated[Path | None, Option(help="The file. Default: RUN-cluster-K.pt2 here.")] = None,
    weights: WhichWeights = None,
    trust: Trust = False,
) -> None:
    """Write the generator of a cluster (or other model) to a file that needs no raygan."""
    from raygan.cli.trust import check_trust
    from raygan.export import write_export
    from raygan.run.stored import Run

    found = Run.load(run)
    check_trust(found.config, trust)
    path = write_export(found, cluster, kind, out, round_number, _checked(weights))
    print(f"wrote {path} ({path.stat().st_size:,} bytes)")


@app.command()
def report(run: RunFolder) -> None:
    """Write RUN/report.html: scores, samples, clusters, cuts, time and faults on one page."""
    from raygan.report import write_report

    print(f"wrote {write_report(run)}")


@app.command()
def bench(
    config: ConfigFile = None,
    overrides: Overrides = None,
    clients: Annotated[int | None, Option(min=1, help="Clients of all domains. [8]")] = None,
    batch: Annotated[int | None, Option(min=2, help="Images of a client in a step. [64]")] = None,
    width: Annotated[float | None, Option(help="Channel counts, in the paper's. [1]")] = None,
    cuts: Annotated[
        str | None,
        Option(help="planned, mixed, or pairs of G and D dealt in turn: '0,0/0,0 1,1/1,0'. [mixed]"),
    ] = None,
    codec: Annotated[str | None, Option(help="As --set wire.codec.")] = None,
    clients_per_actor: Annotated[int | None, Option(min=1, help="As --set ray.clients_per_actor.")] = None,
    repeats: Annotated[int, Option(min=1, help="Slices of measuring of each contender.")] = 5,
    seconds: Annotated[float, Option(min=0, help="About how long a slice takes.")] = 10.0,
    scale: Annotated[
        str | None, Option(help="Instead: the actors alone, for these numbers of clients: 10,50,200.")
    ] = None,
    replicas: Annotated[
        str | None, Option(help="Instead: the actors alone, for these numbers of replicas of the body: 1,2,4.")
    ] = None,
    sections: Annotated[
        str | None, Option(help="Instead: the actors alone, for these numbers of sections of the body: 1,2,3.")
    ] = None,
    vmap: Annotated[
        bool, Option("--vmap", help="Instead: an actor's clients one by one and at once (without Ray).")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure unsplit networks, the split in one process and the split on Ray, in alternation.

    Values in brackets hold without CONFIG; with one, what is not given is as it says.
    """
    from raygan.bench.settings import AS_CONFIGURED, BenchOptions
    from raygan.cli.bench import show_bench
    from raygan.config.loading import read_config

    given = {
        "clients": clients, "batch_size": batch, "width": width, "cuts": cuts, "codec": codec,
        "clients_per_actor": clients_per_actor, "repeats": repeats, "seconds": seconds,
    }  # fmt: skip
    defaults = vars(AS_CONFIGURED if config else BenchOptions())
    options = BenchOptions(**{**defaults, **{k: v for k, v in given.items() if v is not None}})
    show_bench(read_config(config, overrides or []), options, scale, replicas, sections, vmap, as_json)


@app.command()
def dashboard(
    grafana: Annotated[bool, Option("--grafana", help="A Grafana dashboard (JSON).")] = False,
) -> None:
    """Write a dashboard of the metrics that every run publishes (raygan/telemetry/METRICS.md)."""
    import json

    from raygan.telemetry import grafana as of_grafana

    if not grafana:
        found = "nothing to write"
        raise InputError("raygan dashboard", found, "give --grafana, and `> raygan.json` behind it")
    print(json.dumps(of_grafana.dashboard(), indent=1))


@app.command()
def docs(
    chapter: Annotated[str | None, Argument(metavar="NAME", help="Such as method. None: lists them.")] = None,
) -> None:
    """Read the documentation that comes with the package, chapter by chapter."""
    from raygan.cli.docs import show_docs

    show_docs(chapter)


def main() -> None:
    """Entry point of the `raygan` command."""
    outlive_readers()
    try:
        _main()
    except SystemExit as ended:
        if ahead := sys.modules.get("raygan.runtime.ray.ahead"):  # importing it takes longer than most commands
            ahead.leave(ended.code or 0)
        raise


def _main() -> None:
    """The command, with what goes wrong in it as one line and a status."""
    with stopping_on_signals() as received, told_in_lines():
        try:
            _run()
        except (InputError, StoppedError) as error:
            _show_cause(error)
            _end(str(error), 2 if isinstance(error, InputError) else 1)
        except (MemoryError, ImportError, RuntimeError) as error:
            if not _lacks_memory(error):
                raise
            _show_cause(error)
            _end(f"not enough memory ({reason(error)}); give it more (ulimit -v), or lower what it needs", 1)
        except OSError as error:
            where = "standard output" if error.filename is None else str(error.filename)
            _end(str(InputError(where, error.strerror or str(error), CHECK_PATH)), 2)
        except SystemExit:
            if not received:
                raise
            hint = GOING_ON.hint or GOES_ON.get(sys.argv[1], "")
            print(f"raygan: stopped by {signal.Signals(received[0]).name}{hint}", file=sys.stderr)
            sys.exit(128 + received[0])


def _run() -> None:
    """The command; what it printed has left when it ends, so that a full disk is found by then."""
    try:
        app()
    except SystemExit:
        sys.stdout.flush()
        raise


def _lacks_memory(error: Exception) -> bool:
    """Whether it says that the process may have no more; torch and the loader of libraries have no type of their own."""
    words = ("failed to map segment", "cannot allocate memory", "not enough memory", "can't start new thread")
    return isinstance(error, MemoryError) or any(part in str(error).lower() for part in words)


def _show_cause(error: BaseException) -> None:
    """The traceback of what an error stands for, such as a mistake in the user's own code: for who wants more."""
    cause = error.__cause__ or error.__context__
    if cause is not None and VERBOSE & set(sys.argv):
        traceback.print_exception(cause)


def _end(line: str, status: int) -> NoReturn:
    """Says why, and how to go on if something has begun."""
    print(f"raygan: {line}{GOING_ON.hint if GOING_ON.begun else ''}", file=sys.stderr)
    sys.exit(status)
