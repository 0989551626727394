"""Label agreement class by class: which classes does the generator know?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from raygan.evaluation.scores.state import Batch, Reference


class ClassAgreement:
    """Share of the samples asked for a class that the domain's classifier gives it (`label_agreement`)."""

    def __init__(self, reference: Reference, seed: int) -> None:
        self._asked: Counter[int] = Counter()
        self._agreeing: Counter[int] = Counter()

    def update(self, batch: Batch) -> None:
        """Adds probabilities and labels."""
        assert batch.probabilities is not None
        labels = batch.labels.numpy()
        self._asked.update(labels.tolist())
        self._agreeing.update(labels[batch.probabilities.argmax(axis=1) == labels].tolist())

    def merge(self, other: ClassAgreement) -> None:
        """Adds both counts."""
        self._asked.update(other._asked)
        self._agreeing.update(other._agreeing)

    def compute(self) -> Mapping[str, float]:
        """By the class's number."""
        shares = {str(label): self._agreeing[label] / count for label, count in sorted(self._asked.items())}
        return {"images": self._asked.total(), **shares}
