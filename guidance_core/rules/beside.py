"""A rule whose energies compare with another image, which the model is shown beside the sample.

References:
    Activations of a reference at the sample's own noise level: DragonDiffusion, Mou et al. 2024,
    arXiv:2307.02421; FreeControl, Mo et al. 2023, arXiv:2312.07536.
    Deviates: the reference has the noise that the sample began with, and not that of its inversion.
    So neither steps nor prompt need be known before the run, and what differs is the content alone;
    measured in docs/strengths.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..attention.references import Reference, Shown
from ..process import lengths, per_sample
from ..requirements import rebuilt, requirements_of
from ..run import Run
from ..types import Denoiser, Energy, Estimate, Rule, Schedule


@dataclass(frozen=True, eq=False)
class Beside:
    """The rule, with what the model shows of the latent in the place of every `Shown`.

    Where the rule has work, the model is evaluated once more before it, without a gradient, at
    alpha latent + sigma n. The noise n is what the model takes for noise, (x - alpha x0) / sigma,
    at the first of these levels, which takes an evaluation of its own, and stays the same.

    Arguments:
        rule: a rule with an energy, such as Forward.
        latent: the other image, shape (1, C, *S) or (B, C, *S), model latent units.

    Raises:
        ValueError: (when called) the latent does not fit the sample's.
    """

    rule: Any
    latent: Tensor
    through_model: ClassVar[bool] = True
    _noise: list[Tensor] = field(default_factory=list, init=False, repr=False)

    @property
    def energy(self) -> Energy:
        """The rule's."""
        return self.rule.energy  # type: ignore[no-any-return]

    @property
    def strength(self) -> Schedule:
        """The rule's."""
        return self.rule.strength  # type: ignore[no-any-return]

    @property
    def look_at(self) -> str:
        """The rule's."""
        return self.rule.look_at  # type: ignore[no-any-return]

    def __call__(self, denoise: Denoiser, x: Tensor, sigma: Tensor, run: Run) -> Estimate:
        """One guided evaluation: x (B, C, *S), sigma (B,)."""
        self._check(x)
        if self.strength(float(sigma[0])) == 0:
            return denoise(x, sigma)
        # Without the rules below this one: the other image is no sample of theirs.
        shown = self._shown(run.model or denoise, x.detach(), sigma, run)
        rule: Rule = rebuilt(self.rule, lambda part: shown if isinstance(part, Shown) else part)
        return rule(denoise, x, sigma, run)

    def _shown(self, denoise: Denoiser, x: Tensor, sigma: Tensor, run: Run) -> Reference:
        """What the model shows of the latent at this noise level."""
        captures = requirements_of([self.energy]).captures
        alpha, scale = per_sample(run.alpha(sigma), x), per_sample(sigma, x)
        with torch.no_grad():
            if not self._noise:
                self._noise.append((x - alpha * denoise(x, sigma).x0) / scale)
            with run.positive_alone():
                estimate = denoise(alpha * self.latent.to(x) + scale * self._noise[0], sigma)
        level = {request: estimate.capture(request) for request in captures}
        return Reference({float(sigma[0]): level}, (x.shape[-2], x.shape[-1]))

    def _check(self, x: Tensor) -> None:
        if self.latent.shape[1:] != x.shape[1:]:
            raise ValueError(
                f"the image that is kept has a latent of {lengths(self.latent[0])}, this run has "
                f"{lengths(x[0])}: scale the image to the size of the run"
            )
        if len(self.latent) not in (1, len(x)):
            raise ValueError(
                f"{len(self.latent)} images are kept, the latent batch has {len(x)}: give one "
                "image, or one for each sample"
            )
