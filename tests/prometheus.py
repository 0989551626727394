"""A Prometheus of our own, where one is installed."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml

from raygan.telemetry.grafana import dashboard

PROMETHEUS = shutil.which("prometheus")
STARTS_S = 60


class Prometheus:
    """Asked for the present."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v1/query"

    def ask(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Labels and value of each series; an expression that it does not take is an error."""
        query = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"{self._url}?{query}", timeout=30) as answer:
            found = json.load(answer)["data"]
        assert found["resultType"] == "vector", expression
        return [(series["metric"], float(series["value"][1])) for series in found["result"]]

    def panels(self, run: str, window: str) -> dict[str, list[list[tuple[dict[str, str], float]]]]:
        """What the panels of the dashboard show of a run: title -> an answer for each of its queries."""
        return {
            panel["title"]: [
                self.ask(target["expr"].replace("$run", run).replace("$__rate_interval", window))
                for target in panel["targets"]
            ]
            for panel in dashboard()["panels"]
        }

    def ask_until(self, expression: str, value: float) -> None:
        """Waits until its one series has this value."""
        ends = time.monotonic() + STARTS_S
        while time.monotonic() < ends:
            try:
                if [found for _, found in self.ask(expression)] == [value]:
                    return
            except urllib.error.URLError:  # not there yet
                pass
            time.sleep(0.3)
        raise AssertionError(f"{expression} is not {value}")


@contextmanager
def scraping(targets: Sequence[str], folder: Path, interval: str) -> Iterator[Prometheus]:
    """It scrapes these `host:port` so often, such as `2s`."""
    assert PROMETHEUS is not None
    job = {"job_name": "ray", "static_configs": [{"targets": list(targets)}]}
    settings = {"global": {"scrape_interval": interval, "scrape_timeout": interval}, "scrape_configs": [job]}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    process = subprocess.Popen(
        [PROMETHEUS, *options, f"--web.listen-address=127.0.0.1:{port}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield Prometheus(port)
    finally:
        process.terminate()
        process.wait(30)
