"""Metrics as Prometheus reads them from the agents of the nodes."""

from __future__ import annotations

import re
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Mapping

import ray

Samples = Mapping[str, list[tuple[dict[str, str], float]]]
"""Metric -> its tags and value, by series."""


def scrape() -> Samples:
    """What all living nodes serve."""
    found: defaultdict[str, list[tuple[dict[str, str], float]]] = defaultdict(list)
    for node in ray.nodes():
        if node["Alive"]:
            url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
            with urllib.request.urlopen(url, timeout=30) as answer:
                text = answer.read().decode()
            for name, tags, value in re.findall(r"^(\w+)\{(.*)\} (\S+)$", text, flags=re.MULTILINE):
                found[name].append((dict(re.findall(r'(\w+)="([^"]*)"', tags)), float(value)))
    return found


def scrape_until(enough: Callable[[Samples], bool], seconds: float = 60) -> Samples:
    """Scrapes again until what is there is enough, or time is up."""
    ends = time.monotonic() + seconds
    while not enough(samples := scrape()) and time.monotonic() < ends:
        time.sleep(0.5)
    return samples


def total(samples: Samples, name: str, **tags: str) -> float:
    """Sum over the series of a metric that have these tags."""
    return sum(value for found, value in samples[name] if tags.items() <= found.items())
