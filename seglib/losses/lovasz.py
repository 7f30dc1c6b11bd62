"""The Lovasz extension of 1 - IoU: a region term that sorts the pixels by their error."""

from __future__ import annotations

from seglib.lazy import torch
from seglib.losses.base import Params, Target, Term
from seglib.losses.sums import NOT_FLAT, counted_of, mean_over, probs_of, rows


def _lovasz(target: Target, params: Params) -> torch.Tensor:
    """Void has error 0: it is sorted last or among zeros, where it changes nothing."""
    counted = counted_of(rows(target.n_truth, params), params)
    probs = probs_of(target, params)[0].flatten(2)
    valid, labels = target.valid.flatten(1), target.labels.flatten(1)
    if params.choice("over") == "batch":
        probs = probs.transpose(0, 1).flatten(1).unsqueeze(0)  # (1, C, N)
        valid, labels = valid.reshape(1, -1), labels.reshape(1, -1)
    channels = [row.unbind() for row in probs.unbind()]  # an index would fill zeros like probs each
    values = []
    for row, label in counted.nonzero().tolist():
        here = (labels[row] == label) * valid[row]
        errors = (here - channels[row][label]).abs() * valid[row]
        values.append((errors * _lovasz_slopes(errors.detach(), here)).sum())
    values.append(target.logits[:0].sum())  # 0 with a gradient, for when no class counts
    filled = torch.zeros_like(counted).masked_scatter(counted > 0, torch.stack(values))
    return mean_over(filled, counted)


def _lovasz_slopes(errors: torch.Tensor, here: torch.Tensor) -> torch.Tensor:
    """(N,) what each error is multiplied by: the rise of 1 - IoU as its pixel joins the wrong ones.

    Pixels join from the largest error down; `here` is 1 on the pixels of the class. In float64: one
    pixel of many moves 1 - IoU by little more than float32 resolves. Errors are sorted by their
    bits, which rank numbers >= 0 as they stand: torch sorts integers 5 times faster on a CPU.
    """
    bits = errors.view(torch.int64 if errors.dtype == torch.float64 else torch.int32)
    order = (-bits).argsort()
    here = here[order].double()
    jaccard = 1 - (here.sum() - here.cumsum(0)) / (here.sum() + (1 - here).cumsum(0))
    rises = jaccard.diff(prepend=jaccard.new_zeros(1)).to(errors)
    return torch.empty_like(errors).index_copy_(0, order, rises)


LOVASZ = Term(
    name="lovasz",
    function=_lovasz,
    params=NOT_FLAT,
    formula="Lovasz extension of 1 - IoU at the errors |g - p|",
    source="Berman et al. 2018",
)
