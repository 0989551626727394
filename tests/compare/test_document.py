"""From trials to the document, its words and its page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from raygan.compare.document import check_comparison, comparison
from raygan.compare.page import comparison_page
from raygan.compare.words import answer, capped_variants, difference_in_words
from raygan.compare.write import write_comparison
from raygan.errors import ConfigError
from raygan.search.results import Results, Trial
from raygan.search.search import Search, read_search
from tests.browser import CHROMIUM
from tests.seen_pages import flaws

VARIANTS = {
    "huscf": {},
    "<b>one</b>": {"clusters": {"count": 1}},
    "local": {"algorithm": "local"},
    "hierarchical": {"algorithm": "hierarchical"},
}
SCORES = {
    "huscf": [(0.9, 0.8), (0.7, 0.6)],
    "<b>one</b>": [(0.95, 0.85), (0.75, 0.65)],
    "local": [(0.5, 0.9), (0.5, 0.5)],
}


@pytest.fixture
def search(two_clients: dict[str, Any], tmp_path: Path) -> Search:
    settings = {"base": two_clients, "variants": VARIANTS, "seeds": [0, 1], "metric": "label_agreement"}
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(settings, sort_keys=False))
    return read_search(file)


@pytest.fixture
def results(search: Search) -> Results:
    """Every variant but one ended with both seeds; the last failed."""
    trials = []
    for name, seeds in SCORES.items():
        for seed, values in enumerate(seeds):
            scores = {f"label_agreement/domain{n}": value for n, value in enumerate(values)}
            costs = {"bytes_per_client": 250.0 if name == "<b>one</b>" else 100.0, "seconds": 2.0}
            metrics = {"round": 3, "label_agreement": sum(values) / 2, **scores, **costs}
            trials.append(Trial(f"{name}-{seed}", {"variant": name, "seed": seed}, metrics, None, True))
    trials.append(Trial("hierarchical-0", {"variant": "hierarchical", "seed": 0}, {}, "it broke", False))
    return Results(search, trials)


def test_variants_come_best_first_with_their_spread(results: Results) -> None:
    found = comparison(results)
    assert [variant["name"] for variant in found["variants"]] == ["<b>one</b>", "huscf", "local", "hierarchical"]
    best, reference, local, failed = found["variants"]
    assert best["scores"]["label_agreement"]["mean"] == pytest.approx(0.8)
    assert best["scores"]["label_agreement"]["std"] == pytest.approx(0.1 * 2**0.5)
    assert best["scores"]["label_agreement"]["domains"]["domain0"]["mean"] == pytest.approx(0.85)
    assert best["differences"]["label_agreement"]["mean"] == pytest.approx(0.05)
    assert (best["differences"]["label_agreement"]["better"], best["costs"]["bytes_per_client"]) == (4, 250)
    assert reference["differences"] == {}
    assert local["differences"]["label_agreement"]["better"] == 1
    assert (failed["scores"], failed["seeds"], failed["style"]) == ({}, [], "HFL-GAN-style")
    assert local["leaves"] == ["BlockAverage"]
    json.dumps(found, allow_nan=False)


def test_the_answer_names_the_best_the_margin_and_the_price(results: Results) -> None:
    assert answer(comparison(results)) == (
        "Best: <b>one</b> (label agreement 80.0% \u00b1 14.1%); against huscf +5.0% (+5.0% to +5.0%), better in 4 of 4 "
        "pairs, p 0.12. Its clients send and receive 2.5 times the bytes of huscf's."
    )
    assert difference_in_words("label_agreement", None) == "-"


def test_the_page_escapes_names_and_says_style(results: Results, tmp_path: Path) -> None:
    document, written = write_comparison(results, tmp_path)
    assert [path.name for path in written] == ["compare.csv", "compare.json", "compare.png", "compare.html"]
    page = written[-1].read_text()
    assert "&lt;b&gt;one&lt;/b&gt;" in page
    assert "<b>one</b>" not in page
    assert "hierarchical (HFL-GAN-style)" in page
    assert json.loads(written[1].read_text())["variants"][0]["name"] == document["variants"][0]["name"]
    assert len(written[0].read_text().splitlines()) == 1 + 7


def test_a_model_for_several_domains_is_said_beside_the_scores(results: Results) -> None:
    document = comparison(results)
    assert [variant["mixes"] for variant in document["variants"]] == [[]] * 4, "of no run is known whom it serves"
    for variant in document["variants"][1:]:
        variant["mixes"] = ["domain0", "domain1"]
    (line,) = capped_variants(document)
    assert line.startswith("One model of huscf, local, hierarchical (HFL-GAN-style) serves domain0 and domain1, whose")
    assert line in comparison_page("tiny", document, b"")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_a_browser_shows_the_page_whole_and_readable(results: Results, tmp_path: Path) -> None:
    _, written = write_comparison(results, tmp_path)
    assert flaws(written[-1]) == []


def test_nothing_to_compare_is_refused(search: Search, search_file: Path) -> None:
    check_comparison(search)
    with pytest.raises(ConfigError, match="variants: 0 variants; give at least two"):
        check_comparison(read_search(search_file))
    with pytest.raises(ConfigError, match=r"space: clusters\.count is searched as well"):
        check_comparison(read_search(search_file, ["variants={a: {}, b: {algorithm: local}}"]))
