"""The settings of the sampler: as keywords (`Sampling`), and checked (`SamplerSettings`)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, fields
from importlib.util import find_spec
from numbers import Integral, Real
from typing import Literal, Self, TypedDict, get_args

from bayeslaw import defaults
from bayeslaw.errors import SpecError, suggest
from bayeslaw.spec.spec import ModelSpec
from bayeslaw.text import shown

Sampler = Literal["nutpie", "pymc", "numpyro"]

#: Seeds have 64 bits: that is what nutpie takes.
LARGEST_SEED = 2**64 - 1
#: Counts beyond this are mistakes: no memory holds as many draws.
LARGEST_COUNT = 2**31 - 1


class Sampling(TypedDict, total=False):
    """The settings of the sampler, which every function that fits takes as keywords.

    Parameters
    ----------
    draws, tune : draws and tuning steps of each chain (`bayeslaw.defaults.DRAWS`, ``TUNE``).
    chains : number of chains (`bayeslaw.defaults.CHAINS`).
    random_seed : the same seed gives the same numbers on one machine with the same libraries.
        None: a seed is drawn, and kept in the fit.
    target_accept : acceptance rate that sets the step size. None:
        `bayeslaw.defaults.TARGET_ACCEPT`, or ``TARGET_ACCEPT_CURVES`` if each curve has a
        discrepancy of its own and none is shared.
    attempts : how often to try until the chains converge (`bayeslaw.defaults.ATTEMPTS`). The
        remedies after a failed attempt: a smaller step after divergences, another parametrisation
        of the group effects, more tuning and draws. ``fit.convergence`` lists what was tried.
    cores : processes or threads. None: one per chain, as far as the machine has them.
    progressbar : whether to show the sampler's progress.
    """

    draws: int
    tune: int
    chains: int
    random_seed: int | None
    target_accept: float | None
    attempts: int
    cores: int | None
    progressbar: bool


@dataclass(frozen=True, slots=True)
class SamplerSettings:
    """The settings of `Sampling`, checked and complete."""

    draws: int
    tune: int
    chains: int
    target_accept: float
    random_seed: int
    cores: int | None = None
    progressbar: bool = True
    attempts: int = defaults.ATTEMPTS
    sampler: Sampler = "nutpie"

    @classmethod
    def of(cls, sampling: Sampling, spec: ModelSpec, sampler: Sampler = "nutpie") -> Self:
        """The settings for a spec, with defaults for those that ``sampling`` leaves out.

        Raises
        ------
        TypeError : a keyword that is not one of the settings.
        SpecError : a value out of range, or a sampler that is not installed.
        """
        known = [field.name for field in fields(cls) if field.name != "sampler"]
        if unknown := [name for name in sampling if name not in known]:
            near = suggest(unknown[0], known)
            raise TypeError(f"There is no sampler setting {unknown[0]!r}.{near}")
        target_accept = sampling.get("target_accept")
        if target_accept is None:
            only_own_paths = spec.discrepancy.along_curves and not spec.discrepancy.has_shared
            target_accept = defaults.TARGET_ACCEPT
            if only_own_paths:
                target_accept = defaults.TARGET_ACCEPT_CURVES
        settings = cls(
            draws=sampling.get("draws", defaults.DRAWS),
            tune=sampling.get("tune", defaults.TUNE),
            chains=sampling.get("chains", defaults.CHAINS),
            target_accept=target_accept,
            random_seed=seed_or_new(sampling.get("random_seed")),
            cores=sampling.get("cores"),
            progressbar=sampling.get("progressbar", True),
            attempts=sampling.get("attempts", defaults.ATTEMPTS),
            sampler=sampler,
        )
        settings._check(spec)
        return settings

    def _check(self, spec: ModelSpec) -> None:
        counts = {"draws": self.draws, "tune": self.tune, "chains": self.chains}
        counts["attempts"] = self.attempts
        if self.cores is not None:
            counts["cores"] = self.cores
        for name, value in counts.items():
            is_count = isinstance(value, Integral) and not isinstance(value, bool)
            if not (is_count and 1 <= value <= LARGEST_COUNT):
                raise SpecError(
                    f"{name} is {shown(value)}, and it must be a whole number, at least 1.",
                    key=name,
                )
        if not (isinstance(self.target_accept, Real) and 0 < self.target_accept < 1):
            raise SpecError(
                f"target_accept is {shown(self.target_accept)}, and it must be between 0 and 1.",
                key="target_accept",
            )
        if self.sampler not in get_args(Sampler):
            raise SpecError(
                f"sampler is {self.sampler!r}, and it must be nutpie, pymc or numpyro.",
                key="sampler",
            )
        if find_spec(self.sampler) is None:
            raise SpecError(
                f"{self.sampler} is not installed: pip install 'bayeslaw[{self.sampler}]'.",
                key="sampler",
            )
        if self.sampler == "numpyro" and spec.discrepancy.along_curves:
            raise SpecError(
                "numpyro cannot sample a discrepancy along curves. Use nutpie or pymc, or set"
                " discrepancy to 'none'.",
                key="sampler",
            )


def seed_or_new(random_seed: int | None) -> int:
    """``random_seed``, or a new random one if that is None.

    Raises
    ------
    SpecError : it is no whole number from 0 to `LARGEST_SEED`.
    """
    return secrets.randbits(31) if random_seed is None else checked_seed(random_seed)


def checked_seed(random_seed: object) -> int:
    """A seed that every generator takes.

    Raises
    ------
    SpecError : it is no whole number from 0 to `LARGEST_SEED`.
    """
    is_whole = isinstance(random_seed, Integral) and not isinstance(random_seed, bool)
    if not (is_whole and 0 <= random_seed <= LARGEST_SEED):  # type: ignore[operator]
        raise SpecError(
            f"random_seed is {shown(random_seed)}, and it must be a whole number from 0 to"
            f" {LARGEST_SEED}.",
            key="random_seed",
        )
    return int(random_seed)  # type: ignore[call-overload, no-any-return]
