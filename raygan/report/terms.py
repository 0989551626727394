"""The words of the page, explained on it."""

from __future__ import annotations

from raygan.report.html import Html, section, tag
from raygan.step import PHASES

TERMS = {
    "body": "the server's blocks: the middle of both networks, between the heads and tails that clients keep",
    "cut (h, t)": "how many extra blocks a client keeps at the front (h) and at the back (t) of one network",
    "cluster": "clients that are averaged together, because their activations are alike",
    "weight": "a client's share in its cluster's average; those of a cluster sum to 100%",
    "KLD": "Kullback-Leibler divergence, in nats: how far a client's activations are from those of the others in its "
    "cluster; 0: alike",
    "adjusted Rand index": "how well the clusters are the true domains: 1: equal, 0: as by chance",
    "label agreement": "share of samples to which a classifier trained on the domain's real images gives the label that "
    "was asked for; higher is better",
    "generation score": "the inception score's formula with that classifier: high where each sample shows one class "
    "clearly and all classes occur; at most the number of classes",
    "classifier FID": "Fréchet distance between that classifier's features of samples and of real images; lower is "
    "better, 0: equal. It does not compare with FIDs on Inception's features",
    "D, G": "the discriminator and the generator",
    "images/s": "real images of all clients that the steps of a round used in a second",
}
"""Term -> what it means."""


def terms_section() -> Html:
    """Every term, then the phases of a step in their order."""
    entries = [[tag("dt", term), tag("dd", f"{text}.")] for term, text in TERMS.items()]
    phases = tag("ol", [tag("li", phase.words) for phase in PHASES.values()])
    title = tag("h3", "What a client does in a step, in order")
    return section("terms", "What the words mean", tag("dl", entries), title, phases)
