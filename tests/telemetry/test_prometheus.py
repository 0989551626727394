"""The dashboard's queries in a real Prometheus, of a run whose numbers are known."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.prometheus import PROMETHEUS, scraping

pytestmark = pytest.mark.skipif(PROMETHEUS is None, reason="no Prometheus on this machine")

ROUNDS = """
ray_raygan_round{run="one"} 2
ray_raygan_rounds_total{run="one"} 2
ray_raygan_steps_total{run="one"} 8
ray_raygan_images_total{run="one"} 512
ray_raygan_record_bytes_total{run="one",link="client -> body",kind="Activations"} 5000
ray_raygan_record_bytes_total{run="one",link="client -> body",kind="Gradients"} 3000
ray_raygan_phase_seconds_total{run="one",role="client",phase="generate"} 16
ray_raygan_phase_seconds_total{run="one",role="body",phase="generate forward"} 6
ray_raygan_actor_seconds_total{run="one",actor="body",state="work"} 3
ray_raygan_actor_seconds_total{run="one",actor="body",state="wait"} 9
ray_raygan_score{run="one",domain="mnist",score="label_agreement"} 0.75
ray_raygan_score{run="one",domain="mnist",score="classifier_fid"} 12
"""
"""Two rounds of four steps, in which nothing went wrong."""
TROUBLES = """
ray_raygan_absent_steps_total{run="one",actor="client-00"} 3
ray_raygan_lost_total{run="one",actor="client-00"} 1
ray_raygan_faults_total{run="one"} 2
"""


class Agent(BaseHTTPRequestHandler):
    """Serves metrics as Ray's agents do."""

    shown = ROUNDS

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(self.shown.encode())

    def log_message(self, *arguments: object) -> None:
        """Nothing."""


@pytest.fixture
def agent() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Agent) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_panels_show_rounds_from_the_first_on_and_0_for_what_has_not_happened(
    agent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scraping([agent], tmp_path, "1s") as prometheus:
        prometheus.ask_until("count_over_time(ray_raygan_round[1m]) > bool 1", 1)
        calm = prometheus.panels("one", "1m")
        monkeypatch.setattr(Agent, "shown", ROUNDS + TROUBLES)
        prometheus.ask_until("ray_raygan_faults_total", 2)
        troubled = prometheus.panels("one", "1m")
    of_round = {tags["kind"]: value for tags, value in calm["Bytes of a round, by kind"][0]}
    assert of_round == {"Activations": 2500, "Gradients": 1500}
    assert [value for _, value in calm["Work of the body in a round, by phase"][0]] == [3]
    assert [value for _, value in calm["Work of clients in a step, by phase"][0]] == [2]
    assert sorted(value for _, value in calm["Where actors' time goes"][0]) == [0.25, 0.75]
    assert [value for _, value in calm["Images a second"][0]] == [0], "two scrapes with the same count"
    assert [tags["score"] for tags, _ in calm["Scores, shares of images"][0]] == ["label_agreement"]
    assert [tags["score"] for tags, _ in calm["Other scores"][0]] == ["classifier_fid"]
    assert calm["Steps sat out in a round, late or lost"] == [[({}, 0)]]
    assert calm["Lost actors and faults so far"] == [[({}, 0)], [({}, 0)]]
    assert [value for _, value in troubled["Steps sat out in a round, late or lost"][0]] == [1.5]
    assert [[value for _, value in answer] for answer in troubled["Lost actors and faults so far"]] == [[1], [2]]
