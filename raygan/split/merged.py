"""The server's side of one network: blocks that run once over the merged batch of all clients inside.

Shapes: a client's activation is (B_k, ...); a stage's merged batch is the concatenation, along the first
axis, of the clients already inside and of those that enter, each group in ascending order of its key.
BatchNorm therefore sees all of them. The gradient of the body is the sum over clients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from raygan.nn.backward import run_backward


@dataclass
class _Segment:
    """The graph of one stage: a leaf in, a tensor out, whose rows are whose."""

    leaf: Tensor
    output: Tensor
    rows_in: dict[int, slice]
    """Rows of everybody inside during the stage."""
    entered: tuple[int, ...]


@dataclass
class MergedPass:
    """One pass of a merged batch through the body, stage by stage, and back."""

    blocks: Mapping[int, nn.Module]
    observe: int | None = None
    """Block whose output's batch mean is kept for each client; None: none."""
    observed: dict[int, Tensor] = field(default_factory=dict)
    """Client -> batch mean of the observed block's output, without the batch axis."""
    _segments: list[_Segment] = field(default_factory=list)
    _inside: dict[int, Tensor] = field(default_factory=dict)
    _carried_back: dict[int, Tensor] = field(default_factory=dict)

    @property
    def num_rows(self) -> int:
        """Rows of the merged batch in the newest stage that has not been run backward; 0 if there is none."""
        return len(self._segments[-1].output) if self._segments else 0

    def num_rows_with(self, entering: Mapping[int, Tensor]) -> int:
        """Rows of the merged batch of the next stage, where these enter."""
        return sum(len(part) for part in {**self._inside, **entering}.values())

    def has_gradient(self, gradients: Mapping[int, Tensor]) -> bool:
        """Whether any row of the last stage that has not been run backward yet has a gradient; arguments as
        `backward`."""
        return any(key in self._carried_back or key in gradients for key in self._segments[-1].rows_in)

    @property
    def inside(self) -> dict[int, Tensor]:
        """Client -> activation (B_k, ...), in the order of the rows, of those that are inside after the newest stage."""
        return self._inside

    def go_on(self, inside: Mapping[int, Tensor]) -> None:
        """These are inside before the next stage, as another pass's `inside` has them."""
        self._inside = dict(inside)

    @property
    def carried_back(self) -> dict[int, Tensor]:
        """Client -> gradient (B_k, ...) of those that were inside before the stage that was last run backward."""
        return self._carried_back

    def go_back(self, gradients: Mapping[int, Tensor]) -> None:
        """These are the gradients of those that were inside after the next stage to be run backward, as another pass's
        `carried_back` has them."""
        self._carried_back = dict(gradients)

    def forward(
        self,
        blocks: range,
        entering: Mapping[int, Tensor],
        leaving: tuple[int, ...],
        nobody: Tensor | None = None,
    ) -> dict[int, Tensor]:
        """Runs one stage.

        Args:
            blocks: the blocks of the stage.
            entering: client -> activation (B_k, ...) of those that enter here.
            leaving: clients that leave after the stage; one that is not inside is left out.
            nobody: a batch (0, ...) that the blocks run over where nobody is inside; None: they do not run then.

        Returns:
            Client -> activation (B_k, ...), detached, of those that leave.
        """
        inside = {**self._inside, **dict(sorted(entering.items()))}
        if not inside and nobody is None:
            self._segments.append(_Segment(torch.empty(0), torch.empty(0), {}, ()))
            return {}
        parts = list(inside.values()) if nobody is None or inside else [nobody]
        leaf = _merged(parts).detach().requires_grad_()
        rows = _rows(inside)
        output = leaf
        for index in blocks:
            output = self.blocks[index](output)
            if index == self.observe:
                self.observed = {key: output.detach()[span].mean(0) for key, span in rows.items()}
        self._segments.append(_Segment(leaf, output, rows, tuple(entering)))
        after = {key: output.detach()[span] for key, span in rows.items()}
        self._inside = {key: part for key, part in after.items() if key not in leaving}
        return {key: after[key] for key in leaving if key in after}

    def backward(self, gradients: Mapping[int, Tensor], anyway: bool = False) -> dict[int, Tensor]:
        """Runs the last stage that has not been run backward yet.

        Args:
            gradients: client -> gradient (B_k, ...) of those that left after the stage. A client that
                left and sends none counts as zero.
            anyway: run the blocks backward though nobody here has a gradient: somebody at a replica has one.

        Returns:
            Client -> gradient (B_k, ...) with respect to what it sent, of those that entered here.
        """
        segment = self._segments.pop()
        known = {**self._carried_back, **gradients}
        if not anyway and not any(key in known for key in segment.rows_in):
            self._carried_back = {}
            return {}
        parts = [_gradient(known.get(key), segment.output[span]) for key, span in segment.rows_in.items()]
        if not parts:
            parts = [torch.zeros_like(segment.output)]
        run_backward([segment.output], [_merged(parts)])
        assert segment.leaf.grad is not None
        back = {key: segment.leaf.grad[span] for key, span in segment.rows_in.items() if key in known}
        self._carried_back = {key: part for key, part in back.items() if key not in segment.entered}
        return {key: back[key] for key in segment.entered if key in back}


def _merged(parts: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(parts)) if len(parts) > 1 else parts[0]


def _rows(parts: Mapping[int, Tensor]) -> dict[int, slice]:
    rows, start = {}, 0
    for key, part in parts.items():
        rows[key] = slice(start, start + len(part))
        start += len(part)
    return rows


def _gradient(gradient: Tensor | None, like: Tensor) -> Tensor:
    return torch.zeros_like(like) if gradient is None else gradient
