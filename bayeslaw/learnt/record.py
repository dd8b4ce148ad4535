"""A record: what was learnt about a law, with the runs that it was learnt from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bayeslaw.errors import StorageError
from bayeslaw.learnt.misfit import Misfit
from bayeslaw.priors import Prior

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Record:
    """What ladders of runs teach about a law. Made by `bayeslaw.learn`.

    Attributes
    ----------
    law : the name of the law.
    priors : for a variable of the model, the population of its values over families of ladders.
    misfit : how wrong the law is beyond the runs of a ladder.
    sets : the splits of the ladders, each with its family, the ladder's name, how many runs were
        seen and hidden, and whether the chains agreed.
    provenance : date, version, and where the runs are from.
    """

    law: str
    priors: Mapping[str, Prior]
    misfit: Misfit
    sets: Sequence[Mapping[str, Any]]
    provenance: Mapping[str, Any]

    @property
    def families(self) -> list[str]:
        """Who made the ladders."""
        return sorted({str(one["family"]) for one in self.sets})

    def to_json(self) -> dict[str, Any]:
        """The record as plain data; `from_json` reads it back."""
        return {
            "law": self.law,
            "priors": {name: prior.to_json() for name, prior in self.priors.items()},
            "misfit": self.misfit.to_json(),
            "sets": [dict(one) for one in self.sets],
            "provenance": dict(self.provenance),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Record:
        """The record from the plain data of `to_json`.

        Raises
        ------
        StorageError : the data lack a part.
        """
        parts = ("law", "priors", "misfit", "sets", "provenance")
        if lacking := [name for name in parts if name not in data]:
            raise StorageError(f"The record lacks {', '.join(lacking)}.")
        priors = {name: Prior.of(value) for name, value in data["priors"].items()}
        misfit = Misfit.of(data["misfit"])
        return cls(data["law"], priors, misfit, data["sets"], data["provenance"])


@cache
def record_of(law: str) -> Record | None:
    """The record that the package ships for a law, if there is one."""
    path = FOLDER / f"{law}.json"
    return Record.from_json(json.loads(path.read_text())) if path.exists() else None


def learnt_prior(law: str, variable: str) -> Prior:
    """The population of a variable in the record that the package ships.

    >>> learnt_prior("pretraining", "k").distribution
    'LogNormal'
    """
    record = record_of(law)
    assert record is not None
    return record.priors[variable]
