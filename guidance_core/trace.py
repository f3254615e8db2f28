"""What the rules did: a record of each evaluation, and a trace of plain numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Record:
    """What a rule did in one evaluation.

    Arguments:
        rule: name of the rule's class.
        sigma: noise level.
        energy: energy before the step, shape (B,).
        grad_norm: Euclidean norm of the energy's gradient, shape (B,).
        push: RMS of the change of x0, the size of the step, shape (B,), model latent units.
        cfg_push: RMS of the step of classifier-free guidance, shape (B,); None where CFG is 1.
        terms: parts of the energy by name, each of shape (B,).
        silent: how often an energy, by name, had no effect on a sample (a face that is not there).
        taken: for which samples (B,) a gradient was taken; None is all.
        reached: the value at or below which a term counts as reached, by name, for terms that have
            one: the rule's `stop`, or the energy's own (see `requirements.reached_at`).
        spread: posterior standard deviation of x0 at this noise level, the step of strength 1 in
            the scale `relative`; None where it is not known.
    """

    rule: str
    sigma: float
    energy: Tensor
    grad_norm: Tensor
    push: Tensor
    cfg_push: Tensor | None = None
    terms: Mapping[str, Tensor] = field(default_factory=dict)
    silent: Mapping[str, int] = field(default_factory=dict)
    taken: Tensor | None = None
    reached: Mapping[str, float] = field(default_factory=dict)
    spread: float | None = None


@dataclass
class Trace:
    """A sink for records: one row per rule and evaluation, in the order of the run.

    Each row has the rule's name, sigma, and lists with one number per sample: energy, grad_norm,
    push, cfg_push (None where CFG is 1) and terms by name; `silent` counts, by energy, how often
    it had no effect on a sample; `reached` and `spread` are those of the record.

    Arguments:
        rows: what was recorded.
        decoder: name of what decoded for energies of the image; empty where nothing did.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    decoder: str = ""

    def __call__(self, record: Record) -> None:
        """Append one record."""
        self.rows.append(
            {
                "rule": record.rule,
                "sigma": record.sigma,
                "energy": _as_list(record.energy),
                "grad_norm": _as_list(record.grad_norm),
                "push": _as_list(record.push),
                "cfg_push": None if record.cfg_push is None else _as_list(record.cfg_push),
                "terms": {name: _as_list(term) for name, term in record.terms.items()},
                "silent": dict(record.silent),
                "reached": dict(record.reached),
                "spread": record.spread,
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """The rows, ready for JSON."""
        return {"rows": [dict(row) for row in self.rows]}


def _as_list(values: Tensor) -> list[float]:
    return [float(value) for value in values.detach().double().cpu()]
