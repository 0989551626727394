"""Domains that are described at their sites: what a site that does not answer is told as."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ray.exceptions import GetTimeoutError, RayError, WorkerCrashedError

from raygan.config.loading import make_config
from raygan.errors import InputError, WireError
from raygan.runtime.ray import survey


def test_nothing_but_counts_leaves_a_site(tiny_settings: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    config = make_config(tiny_settings)
    honest = survey.survey_domain(config, 0)
    leaky = replace(honest, holdings=(replace(honest.holdings[0], class_counts=np.arange(4)),))
    assert survey._describe(config, 0) == honest
    monkeypatch.setattr(survey, "survey_domain", lambda *_: leaky)
    with pytest.raises(WireError, match="DomainSurvey holds an array"):
        survey._describe(config, 0)


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (GetTimeoutError(), "its site has not described it within 5 s; check the site's nodes, or raise"),
        (
            WorkerCrashedError(),
            "the process that described it at its site was lost (WorkerCrashedError); check",
        ),
    ],
)
def test_a_site_that_does_not_answer_is_one_line(
    tiny_settings: dict, monkeypatch: pytest.MonkeyPatch, error: RayError, found: str
) -> None:
    domains = [domain | {"labels": {"site": "a"}} for domain in tiny_settings["data"]["domains"]]
    config = make_config(tiny_settings | {"data": {"domains": domains}, "ray": {"start_timeout_s": 5}})

    def get(reference: object, timeout: float) -> None:
        assert timeout == 5
        raise error

    monkeypatch.setattr(survey, "chosen", lambda config: config)  # it would ask a Ray that is not there
    monkeypatch.setattr(survey, "await_nodes", lambda *arguments: None)
    monkeypatch.setattr(survey, "_submitted", lambda config, index: object())
    monkeypatch.setattr(survey.ray, "get", get)
    with pytest.raises(InputError) as raised:
        survey.survey_sites(config, print)
    assert str(raised.value).startswith(f"data.domains[0] (domain0, at site=a): {found}")
