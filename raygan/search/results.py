"""What came of a search: a row a trial, a row a point with its spread over seeds, the best, and the Pareto front."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from ray import tune

from raygan.config.loading import read_config
from raygan.run.folder import RunFolder
from raygan.search.reported import reported
from raygan.search.search import POINT, Point, Search
from raygan.search.stopping import reached
from raygan.storage import read_json_lines, write_bytes

OBJECTIVES = (("latency_s", "min"), ("bytes_per_round", "min"))
"""What a trial costs; with the first metric they make the Pareto front, unless the search names its own trade-off."""
NOT_MEASURES = ("trial", "status", "rounds", "run", "error", "seed", "pareto")


@dataclass(frozen=True)
class Trial:
    """One trial, ended or not."""

    name: str
    point: Point
    metrics: dict[str, Any]
    """Its last report; empty: it has none."""
    error: str | None
    ended: bool

    @property
    def run(self) -> Path | None:
        """Its run's folder."""
        return Path(self.metrics["run"]) if "run" in self.metrics else None


@dataclass(frozen=True)
class Results:
    """All trials of a search."""

    search: Search
    trials: list[Trial]

    @property
    def metric(self) -> str:
        """The first metric."""
        return self.search.config.metric[0]

    @property
    def is_max(self) -> bool:
        """Whether more of it is better."""
        return self.search.config.modes[0] == "max"

    @property
    def objectives(self) -> list[tuple[str, str]]:
        """The trade-off: metric and mode."""
        named: list[tuple[str, str]] = list(
            zip(self.search.config.metric, self.search.config.modes, strict=True)
        )
        return named if len(named) > 1 else [*named, *OBJECTIVES]

    @property
    def keys(self) -> list[str]:
        """The keys that differ between the trials, in the order of the space."""
        known = dict.fromkeys(self.search.varied)
        known |= dict.fromkeys(key for trial in self.trials for key in trial.point if key != "seed")
        return list(known)

    def table(self) -> pd.DataFrame:
        """One row a trial: keys, seed, status, rounds and its last report."""
        rows = [self._row(trial) for trial in self.trials]
        frame = pd.DataFrame(rows)
        front = {id(trial) for trial in self.front()}
        frame.insert(1, "pareto", [id(trial) in front for trial in self.trials])
        return frame

    def _row(self, trial: Trial) -> dict[str, Any]:
        report = {
            k: v for k, v in trial.metrics.items() if isinstance(v, (int, float)) and k not in ("round",)
        }
        return {
            "trial": trial.name,
            "status": self._status(trial),
            "rounds": trial.metrics.get("round", 0),
            **{key: trial.point.get(key) for key in self.keys},
            "seed": trial.point.get("seed"),
            **report,
            "run": trial.metrics.get("run"),
            "error": trial.error,
        }

    def _status(self, trial: Trial) -> str:
        """`ended` after all rounds, `stopped` by the scheduler or a rule, `failed`, or `interrupted`."""
        if trial.error:
            return "failed"
        if not trial.ended:
            return "interrupted"
        rounds = self.search.config_of(trial.point).training.rounds
        return "ended" if trial.metrics.get("round", 0) == rounds else "stopped"

    def groups(self) -> pd.DataFrame:
        """One row a point, best first: keys, `trials`, `rounds`, and `NAME` and `NAME_std` of every measure over its
        seeds (standard deviation of a sample; of one trial, NaN)."""
        frame = self.table()
        frame = frame[frame["rounds"] > 0]
        if self.metric not in frame:
            return pd.DataFrame()
        measures = [name for name in frame if name not in (*self.keys, *NOT_MEASURES)]
        grouped = frame.groupby(self.keys, dropna=False, sort=False)
        means, stds = grouped[measures].mean(), grouped[measures].std().add_suffix("_std")
        table = means.join(stds)
        table["trials"], table["rounds"] = grouped.size(), grouped["rounds"].min()
        return table.sort_values(self.metric, ascending=not self.is_max).reset_index()

    def candidates(self) -> list[Trial]:
        """Trials that the scheduler has not stopped: of those that went furthest, or came as far as was wanted."""
        scored = [trial for trial in self.trials if self.metric in trial.metrics]
        if self.search.config.scheduler is None or not scored:
            return scored
        furthest = max(trial.metrics["round"] for trial in scored)
        wanted, mode = self.search.config.stop.score, self.search.config.modes[0]
        return [
            trial
            for trial in scored
            if trial.metrics["round"] == furthest or reached(wanted, trial.metrics[self.metric], mode)
        ]

    def best(self) -> Trial | None:
        """The best trial of the point that is best on average over its seeds; None: nothing was scored."""
        points: dict[tuple, list[Trial]] = {}
        for trial in self.candidates():
            points.setdefault(tuple(trial.point.get(key) for key in self.keys), []).append(trial)
        if not points:
            return None
        sign = 1 if self.is_max else -1

        def score(trials: list[Trial]) -> float:
            return sign * sum(trial.metrics[self.metric] for trial in trials) / len(trials)

        of_best_point: list[Trial] = max(points.values(), key=lambda trials: score(trials))
        return max(of_best_point, key=lambda trial: score([trial]))

    def front(self) -> list[Trial]:
        """The trials that no other beats in one objective without losing in another."""
        names = [name for name, _ in self.objectives]
        trials = [trial for trial in self.candidates() if all(name in trial.metrics for name in names)]
        scores = [self._costs(trial) for trial in trials]
        return [
            trial
            for trial, mine in zip(trials, scores, strict=True)
            if not any(
                all(a <= b for a, b in zip(other, mine, strict=True)) and other != mine for other in scores
            )
        ]

    def _costs(self, trial: Trial) -> tuple[float, ...]:
        return tuple(trial.metrics[name] * (-1 if mode == "max" else 1) for name, mode in self.objectives)

    def curves(self) -> dict[str, tuple[list[int], list[float]]]:
        """Trial -> rounds and the first metric, from its run's `metrics.jsonl`."""
        found = {}
        for trial in self.trials:
            if trial.run is not None:
                costs = {"latency_s": None, "overlapped_s": None}
                rows = [
                    reported(line, costs, 0) for line in read_json_lines(RunFolder(trial.run).metrics_file)
                ]
                rows = [row for row in rows if self.metric in row]
                found[trial.name] = ([row["round"] for row in rows], [row[self.metric] for row in rows])
        return found


def collect(search: Search, grid: tune.ResultGrid) -> Results:
    """The trials that Ray Tune knows."""
    trials = []
    for trial in grid._experiment_analysis.trials:
        metrics = dict(trial.last_result or {})
        if "run" in metrics:
            metrics["run"] = str(Path(grid.experiment_path) / metrics["run"])
        error = _last_line(trial.get_error()) if trial.status == "ERROR" else None
        ended = trial.status == "TERMINATED"
        trials.append(Trial(str(trial), dict(trial.config[POINT]), _ours(metrics), error, ended))
    return Results(search, sorted(trials, key=lambda trial: trial.name))


def write_results(results: Results, folder: Path) -> list[Path]:
    """Writes `results.csv` and, where something was scored, `best.yaml`."""
    written = [folder / "results.csv"]
    results.table().to_csv(written[0], index=False)
    best = results.best()
    if best is not None and best.run is not None:
        written.append(folder / "best.yaml")
        write_bytes(written[-1], best_text(results, best).encode())
    return written


def best_text(results: Results, best: Trial) -> str:
    """`best.yaml`: the best trial's configuration, with as many rounds as it ran, so that it gives the same numbers."""
    assert best.run is not None
    config = read_config(RunFolder(best.run).config_file)
    training = config.training.model_copy(update={"rounds": best.metrics["round"]})
    settings = config.model_copy(update={"training": training}).model_dump(mode="json")
    mode = "highest" if results.is_max else "lowest"
    head = [
        f"# {best.name} of the search {results.search.name}: {results.metric} {best.metrics[results.metric]:.6g}, the",
        f"# {mode} on average over seeds. `raygan train` with this file gives the same metrics.",
    ]
    if (best.run / "origin.json").exists():
        head[1] = (
            f"# {mode}. The keys changed on the way (pbt_policy_*.txt): a run with these values alone differs."
        )
    return "\n".join(head) + "\n" + yaml.safe_dump(settings, sort_keys=False, default_flow_style=None)


def _ours(metrics: dict[str, Any]) -> dict[str, Any]:
    """Without what Ray Tune adds."""
    theirs = {"config", "done", "trial_id", "date", "timestamp", "pid", "hostname", "node_ip", "training_iteration",
              "time_this_iter_s", "time_since_restore", "iterations_since_restore", "experiment_tag",
              "checkpoint_dir_name", "time_total_s", "should_checkpoint"}  # fmt: skip
    return {name: value for name, value in metrics.items() if name not in theirs}


def _last_line(error: Any) -> str:
    lines = [line for line in str(error or "").splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no message"
