"""A spec is resolved once: what one call parses, resolves and fits by least squares, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from helpers import grouped_table, stored

import bayeslaw as bl
from bayeslaw import fitting
from bayeslaw.spec import identifiability
from bayeslaw.spec.design import Design
from bayeslaw.spec.formula import Formula


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """How often formulas are parsed, specs resolved, designs made and laws fitted by least
    squares."""
    counted: Counter[str] = Counter()

    def count(owner: object, name: str, *, method: bool = False) -> None:
        original = getattr(owner, name)

        def counting(*args: object, **keywords: object) -> object:
            counted[name] += 1
            return original(*args, **keywords)

        monkeypatch.setattr(owner, name, staticmethod(counting) if method else counting)

    count(Formula, "parse", method=True)
    count(Design, "of", method=True)
    count(fitting, "resolve")
    count(identifiability, "sensitivity")
    yield counted


@pytest.mark.filterwarnings("ignore::bayeslaw.errors.BayeslawWarning")
def test_a_fit_resolves_its_spec_once(counts: Counter[str]) -> None:
    runs = bl.read_runs(grouped_table(), "power")
    spec = bl.ModelSpec("power", effects={"A": "1 + (1 | task)"}, discrepancy="none")
    assert counts == {"parse": 1}
    bl.fit(spec, runs, draws=20, tune=50, chains=2, attempts=1, random_seed=1, progressbar=False)
    assert counts == {"parse": 1, "resolve": 1, "of": 1, "sensitivity": 1}


def test_predictions_and_decisions_resolve_nothing(counts: Counter[str]) -> None:
    fit = stored("grouped")
    counts.clear()
    points = {"data_size": [1e9, 2e9], "task": ["task0", "new"]}
    fit.predict(points, new_groups=True)
    assert not counts
    fit.bands(points, new_groups=True)
    assert not counts
    fit.quantity("alpha")
    assert not counts
    bl.check(fit)
    assert counts["parse"] == counts["resolve"] == 0
    counts.clear()
    bl.decide(fit, points, 0.8)
    assert not counts


def test_a_saved_fit_is_resolved_when_it_is_loaded(counts: Counter[str]) -> None:
    fit = stored("grouped")
    parsed = counts["parse"]
    assert parsed <= len(fit.design.params)
    assert counts["of"] <= 1
