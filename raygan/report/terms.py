"""The words of the page, explained in the sections where they stand, and all together at its end."""

from __future__ import annotations

from typing import NamedTuple


class Term(NamedTuple):
    """A word."""

    words: str
    """What it means."""
    sections: tuple[str, ...]
    """Where it stands."""


TERMS = {
    "body": Term(
        "the server's blocks: the middle of both networks, between the heads and tails that clients keep",
        ("time", "cuts"),
    ),
    "cut (h, t)": Term(
        "how many extra blocks a client keeps at the front (h) and at the back (t) of one network; a device that can "
        "bear more has more, so that less or smaller activations cross",
        ("cuts",),
    ),
    "head, tail": Term("the first and the last blocks of a network, which stay on the client", ("cuts",)),
    "cluster": Term("clients that are averaged together, because their activations are alike", ("samples", "clusters")),
    "weight": Term("a client's share in its cluster's average; those of a cluster sum to 100%", ("clusters",)),
    "KLD": Term(
        "Kullback-Leibler divergence, in nats: how far a client's activations are from those of the others in its "
        "cluster; 0: alike",
        ("clusters",),
    ),
    "adjusted Rand index": Term("how well the clusters are the true domains: 1: equal, 0: as by chance", ("clusters",)),
    "label agreement": Term(
        "share of samples to which a classifier trained on the domain's real images gives the label that was asked for; "
        "higher is better",
        ("scores",),
    ),
    "generation score": Term(
        "the inception score's formula with that classifier: high where each sample shows one class clearly and all "
        "classes occur; from 1 to the number of classes",
        ("scores",),
    ),
    "classifier FID": Term(
        "Fréchet distance between that classifier's features of samples and of real images; lower is better, 0: equal. "
        "It does not compare with FIDs on Inception's features",
        ("scores",),
    ),
    "classifier KID": Term(
        "kernel distance (squared maximum mean discrepancy) between the same features; lower is better, 0: equal",
        ("scores",),
    ),
    "density": Term(
        "how deep the samples are among the real images, in the same features: about 1 for real ones", ("scores",)
    ),
    "coverage": Term("share of real images that have a sample near; higher is better", ("scores",)),
    "losses": Term(
        "what each network makes smaller, mean over clients and steps. They oppose each other: neither says how good "
        "the samples are; one that runs away says that training is out of balance",
        ("scores",),
    ),
    "D, G": Term("the discriminator and the generator", ("scores", "time", "cuts")),
    "phase": Term(
        "a client's part of a step between two messages; which there are stands at the end of the page", ("time",)
    ),
    "waiting": Term(
        "time of a step in which a client's actor does nothing: the body, slower clients or messages are awaited",
        ("time",),
    ),
    "images/s": Term("real images of all clients that the steps of a round used in a second", ("time",)),
}
"""Term -> what it means, and where."""


def terms_of(section: str) -> dict[str, Term]:
    """The terms that stand in a section."""
    return {name: term for name, term in TERMS.items() if section in term.sections}
