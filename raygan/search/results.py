"""What came of a search: a row a trial, a row a point with its spread over seeds, the best, and the Pareto front."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import pandas as pd
import yaml
from ray import tune
from ray.tune.result import AUTO_RESULT_KEYS

from raygan.run.folder import RunFolder
from raygan.search.scheduling import reached
from raygan.search.search import POINT, Point, Search
from raygan.storage import write_bytes

OBJECTIVES = (("latency_s", "min"), ("bytes_per_round", "min"))
"""What a trial costs; with the first metric they make the Pareto front, unless the search names its own trade-off."""
NOT_MEASURES = ("trial", "status", "rounds", "run", "error", "seed", "pareto")
OF_TUNE = {*AUTO_RESULT_KEYS, "done", "trial_id", "experiment_tag", "should_checkpoint"}
"""What Ray Tune adds to a report."""


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
    def objectives(self) -> dict[str, str]:
        """The trade-off: metric and mode."""
        named: dict[str, str] = dict(zip(self.search.config.metric, self.search.config.modes, strict=True))
        return named if len(named) > 1 else {**self.costs, **named}

    @property
    def costs(self) -> dict[str, str]:
        """What trials cost, as far as any reports it: networks that are not cut have no predicted latency."""
        return {name: mode for name, mode in OBJECTIVES if any(name in trial.metrics for trial in self.trials)}

    @property
    def keys(self) -> list[str]:
        """The keys that differ between the trials, in the order of the space."""
        found = (key for trial in self.trials for key in trial.point if key != "seed")
        return list(dict.fromkeys([*self.search.space, *found]))

    def table(self) -> pd.DataFrame:
        """One row a trial: keys, seed, status, rounds and its last report."""
        front = [trial.name for trial in self.front()]
        return pd.DataFrame(
            {
                "trial": trial.name,
                "pareto": trial.name in front,
                "status": self._status(trial),
                "rounds": trial.metrics.get("round", 0),
                **{key: trial.point.get(key) for key in self.keys},
                "seed": trial.point.get("seed"),
                **{k: v for k, v in trial.metrics.items() if isinstance(v, (int, float)) and k != "round"},
                "run": trial.metrics.get("run"),
                "error": trial.error,
            }
            for trial in self.trials
        )

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
        seeds (standard deviation of a sample; of one trial, NaN). `clusters` has the different numbers, as a text."""
        frame = self.table()
        frame = frame[frame["rounds"] > 0]
        if self.metric not in frame:
            return pd.DataFrame()
        measures = [name for name in frame if name not in (*self.keys, *NOT_MEASURES)]
        grouped = frame.groupby(self.keys, dropna=False, sort=False)
        means, stds = grouped[measures].mean(), grouped[measures].std().add_suffix("_std")
        table = means.join(stds)
        table["trials"], table["rounds"] = grouped.size(), grouped["rounds"].min()
        if "clusters" in frame:
            table["clusters"] = grouped["clusters"].agg(
                lambda found: ", ".join(f"{number:g}" for number in sorted(found.dropna().unique()))
            )
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
        points: defaultdict[tuple[Any, ...], list[Trial]] = defaultdict(list)
        for trial in self.candidates():
            points[tuple(trial.point.get(key) for key in self.keys)].append(trial)
        if not points:
            return None

        def score(*trials: Trial) -> float:
            found: float = mean(trial.metrics[self.metric] for trial in trials)
            return found if self.is_max else -found

        return max(max(points.values(), key=lambda trials: score(*trials)), key=score)

    def front(self) -> list[Trial]:
        """The trials that no other beats in one objective without losing in another."""
        names = list(self.objectives)
        trials = [trial for trial in self.candidates() if all(name in trial.metrics for name in names)]
        signs = [-1 if mode == "max" else 1 for mode in self.objectives.values()]
        costs = np.array([[trial.metrics[name] for name in names] for trial in trials]).reshape(-1, len(names))
        costs *= signs
        return [
            trial
            for trial, mine in zip(trials, costs, strict=True)
            if not ((costs <= mine).all(axis=1) & (costs < mine).any(axis=1)).any()
        ]


def collect(search: Search, grid: tune.ResultGrid) -> Results:
    """The trials that Ray Tune knows."""
    trials = []
    for trial in grid._experiment_analysis.trials:
        metrics = {name: value for name, value in (trial.last_result or {}).items() if name not in OF_TUNE}
        if "run" in metrics:
            metrics["run"] = str(Path(grid.experiment_path) / metrics["run"])
        error = last_line(trial.get_error()) if trial.status == "ERROR" else None
        trials.append(Trial(str(trial), dict(trial.config[POINT]), metrics, error, trial.status == "TERMINATED"))
    return Results(search, sorted(trials, key=lambda trial: trial.name))


def write_results(results: Results, folder: Path) -> list[Path]:
    """Writes `results.csv` and, where something was scored, `best.yaml`."""
    written = [folder / "results.csv"]
    write_bytes(written[0], results.table().to_csv(index=False).encode())
    best = results.best()
    if best is not None and best.run is not None:
        written.append(folder / "best.yaml")
        write_bytes(written[-1], _best_text(results, best, best.run).encode())
    return written


def _best_text(results: Results, best: Trial, run: Path) -> str:
    """`best.yaml`: the best trial's configuration, with as many rounds as it ran, so that it gives the same numbers."""
    config = RunFolder(run).config()
    training = config.training.model_copy(update={"rounds": best.metrics["round"]})
    settings = config.model_copy(update={"training": training}).model_dump(mode="json")
    if (run / "origin.json").exists():
        use = ". The keys changed on the way (pbt_policy_*.txt): a run with these values alone differs."
    else:
        use = " on average over seeds. `raygan train` with this file gives the same metrics."
    return (
        f"# {best.name} of the search {results.search.name}: {results.metric} {best.metrics[results.metric]:.6g}, the\n"
        f"# {'highest' if results.is_max else 'lowest'}{use}\n"
        + yaml.safe_dump(settings, sort_keys=False, default_flow_style=None)
    )


def last_line(error: Any) -> str:
    """Of an error's text; of one without a text, so much."""
    lines = [line for line in str(error or "").splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no message"
