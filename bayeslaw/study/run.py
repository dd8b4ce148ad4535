"""A study from its file to its folder: fit, checks, backtest, bands, decision, report; what is
there from an earlier run is not computed again.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayeslaw.answers.allocation import allocate, summarised
from bayeslaw.answers.overoptimization import peaks
from bayeslaw.atomic import atomic_write
from bayeslaw.checks import CheckResult, check
from bayeslaw.decisions import Decision, decide, next_runs
from bayeslaw.decisions.utility import evpi_along, met
from bayeslaw.errors import Fault, StorageError, StudyError
from bayeslaw.fitted import Fit, load
from bayeslaw.fitting import fit
from bayeslaw.posterior.sweep import sweep as bands_along
from bayeslaw.study.store import (
    Store,
    key_of,
    read_json,
    runs_digest,
    swept_clean,
    versions,
    write_json,
)
from bayeslaw.validation.backtesting import Backtest, backtest
from bayeslaw.validation.storage import load_backtest, save_backtest

if TYPE_CHECKING:
    from bayeslaw.study.outcome import Outcome
    from bayeslaw.study.prepare import Prepared

#: What a study writes; a file that a study does not make is one that an earlier study left.
FILES = (
    "fit.nc",
    "bands.csv",
    "backtest.csv",
    "next_runs.csv",
    "allocation.csv",
    "peaks.csv",
    "decision.json",
    "report.html",
)
#: Results of earlier runs, inside the folder of a study.
STORE = ".bayeslaw"
#: In it, the files that the last study wrote.
WRITTEN = "written.json"


def run_study(
    study: str | Path,
    output: str | Path | None = None,
    *,
    template: str | Path | None = None,
    allow_import: bool = False,
    progressbar: bool = True,
    say: Callable[[str], None] | None = None,
    stored: bool = False,
) -> Outcome:
    """Run a study file from end to end.

    Parameters
    ----------
    study : path of the TOML file (``bayeslaw init`` writes one to start from;
        `bayeslaw.study.schema` has every key).
    output : folder for ``fit.nc``, ``bands.csv``, ``backtest.csv``, ``next_runs.csv``,
        ``allocation.csv``, ``peaks.csv``, ``decision.json`` (its schema is
        `bayeslaw.study.outcome.DecisionFile`) and ``report.html``, as far as the file asks for
        them. None: a folder with the file's name, beside it.
    template : a Jinja2 template that extends ``report.html.jinja`` and overrides its blocks
        (`bayeslaw.study.report`).
    allow_import : import a law of your own, ``law = "my_module:MyLaw"``.
    progressbar : show the sampler's progress.
    say : told what is being done, a line a stage.
    stored : sample nothing: only what earlier runs left is read.

    Returns
    -------
    Outcome

    Results are kept in ``output/.bayeslaw`` under a key of what they follow from: data, spec,
    effort, seed, versions and code. A second run computes what has changed, an interrupted one goes
    on after its last finished stage, and two at once write whole files that are equal. The files of
    the folder are replaced when everything is there.

    Raises
    ------
    StudyError : every fault of the file, before anything is fitted or written. StorageError : the
        folder cannot be written; with ``stored``, a result is missing. As `bayeslaw.fit` for the
        rest.
    """
    from bayeslaw.study.prepare import prepare

    prepared = prepare(study, allow_import=allow_import)
    folder = Path(output) if output is not None else prepared.path.with_suffix("")
    if template is not None and not Path(template).is_file():
        raise StudyError(
            str(template),
            [
                Fault(
                    "There is no such template.",
                    "It is a Jinja2 file that extends report.html.jinja.",
                )
            ],
        )
    if stored and not (folder / STORE).is_dir():
        raise StorageError(f"{folder} has no results of a study: run it first (bayeslaw run).")
    with _writing(folder):
        store = Store.at(folder / STORE)
        for name in map(Path, FILES):  # what `bayeslaw.atomic.whole` writes beside each
            swept_clean(folder.glob(f".{name.stem}.*{name.suffix}"))
    command = (
        f"bayeslaw run {shlex.quote(str(study))} -o"
        f" {shlex.quote(str(folder))}{' --allow-import' * allow_import}"
    )
    outcome = _computed(
        prepared, store, progressbar, say or (lambda text: None), stored, folder, command
    )
    with _writing(folder):
        _publish(outcome, folder, template)
    return outcome


def _computed(
    prepared: Prepared,
    store: Store,
    progressbar: bool,
    say: Callable[[str], None],
    stored: bool,
    folder: Path,
    command: str,
) -> Outcome:
    """The stages, each from the store where it is there."""
    from bayeslaw.study.outcome import Outcome

    study, spec, runs = prepared.study, prepared.spec, prepared.runs
    effort = study.sampling.model_dump() | {"random_seed": study.study.seed}
    data = runs_digest(runs)
    fit_key = key_of("fit", data, spec.to_json(), effort)
    reused: list[str] = []

    def stage[T](
        kind: str,
        key: str,
        ending: str,
        load: Callable[[Path], T],
        make: Callable[[], T],
        save: Callable[[T, Path], object],
    ) -> T:
        def made() -> T:
            if stored:
                raise StorageError(
                    f"{folder} has no {kind} of this study as it stands: run it first (bayeslaw"
                    " run)."
                )
            say(f"{kind} ...")
            return make()

        result, there = store.keep(kind, key, ending, load, made, save)
        if there:
            reused.append(kind)
            say(f"{kind}: from an earlier run")
        return result

    fitted: Fit = stage(
        "fit",
        fit_key,
        ".nc",
        load,
        lambda: fit(spec, runs, progressbar=progressbar, **effort),
        lambda each, path: each.save(path),
    )
    checks: list[CheckResult] = stage(
        "checks",
        fit_key,
        ".json",
        lambda path: [CheckResult(**each) for each in read_json(path)],
        lambda: check(fitted),
        lambda found, path: write_json([_plain(each) for each in found], path),
    )
    tested: Backtest | None = None
    if (section := study.backtest) is not None:
        asked: Mapping[str, Any] = section.model_dump()
        key = key_of("backtest", data, spec.to_json(), effort, asked)
        tested = stage(
            "backtest",
            key,
            ".nc",
            load_backtest,
            lambda: backtest(spec, runs, progressbar=progressbar, **asked, **effort),
            save_backtest,
        )
    say("predictions and decision ...")
    decision, ranked = _decided(prepared, fitted, checks, tested)
    allocation = None
    if study.allocate is not None:
        compute = (
            study.allocate.compute
            if isinstance(study.allocate.compute, list)
            else [study.allocate.compute]
        )
        allocation = summarised(
            allocate(
                fitted,
                compute,
                inference_tokens=study.allocate.inference_tokens,
                at=study.allocate.at,
            )
        )
    at_options = None if prepared.option_points is None else fitted.bands(prepared.option_points)
    asked_for = None if prepared.points is None else fitted.bands(prepared.points)
    shown = asked_for if at_options is None else at_options
    return Outcome(
        prepared=prepared,
        fit=fitted,
        summary=fitted.summary(),
        checks=tuple(checks),
        bands=at_options if asked_for is None else asked_for,
        backtest=tested,
        decision=decision,
        worth=_worth(prepared, decision),
        next_runs=ranked,
        allocation=allocation,
        sweep=None if shown is None else bands_along(fitted, shown),
        peaks=(
            peaks(fitted)
            if any(name.startswith("kl_peak") for name in spec.law.quantities)
            else None
        ),
        reused=tuple(reused),
        provenance=_provenance(prepared, fitted, data, command),
    )


def _decided(
    prepared: Prepared, fitted: Fit, checks: list[CheckResult], tested: Backtest | None
) -> tuple[Decision | None, pd.DataFrame | None]:
    """The decision, and the runs that say most about it."""
    section, wanted = prepared.study.decision, prepared.study.next_runs
    if (
        section is None
        or prepared.options is None
        or prepared.target is None
        or prepared.costs is None
    ):
        return None, None
    decision = decide(
        fitted,
        prepared.options,
        prepared.target,
        at=section.at,
        cost=list(prepared.costs),
        value=section.value,
        go_at=section.go_at,
        no_go_at=section.no_go_at,
        checks=checks,
        backtest=tested,
        far=section.far,
    )
    if wanted is None or prepared.candidates is None or prepared.candidate_costs is None:
        return decision, None
    terms: dict[str, Any] = (
        {}
        if section.value is None
        else {
            "target": prepared.target,
            "value": section.value,
            "option_cost": list(prepared.costs),
        }
    )
    ranked = next_runs(
        fitted,
        prepared.candidates,
        prepared.options,
        at=section.at,
        cost=list(prepared.candidate_costs),
        budget=wanted.budget,
        **terms,
    )
    return decision, ranked


def _worth(
    prepared: Prepared, decision: Decision | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """What options are worth from no value of meeting the target to twice the study's."""
    section = prepared.study.decision
    if decision is None or section is None or not section.value or section.value <= 0:
        return None
    at = np.linspace(0, 2 * section.value, 121)[1:]
    reached = met(decision.draws, decision.target, prepared.law.response.lower_is_better)
    return at, *evpi_along(reached, decision.table["cost"].to_numpy(float), at)


def _provenance(prepared: Prepared, fitted: Fit, data: str, command: str) -> dict[str, str]:
    """What the numbers follow from, and how to make them again."""
    return {
        "study file": prepared.path.name,
        "runs": Path(prepared.runs.source).name,
        "runs digest": data,
        "random seed": str(fitted.random_seed),
        "command": command,
        **{
            f"version of {name}": each
            for name, each in {
                **versions(),
                **{k: v for k, v in fitted.versions.items() if k == "python"},
            }.items()
        },
    }


def _publish(outcome: Outcome, folder: Path, template: str | Path | None) -> None:
    """Every file of the study, laid out before the first is written; those that it does not make
    are gone.
    """
    from bayeslaw.study.outcome import decision_file
    from bayeslaw.study.report import render

    tables = {
        "bands.csv": outcome.bands,
        "next_runs.csv": outcome.next_runs,
        "allocation.csv": outcome.allocation,
        "peaks.csv": outcome.peaks,
        "backtest.csv": None if outcome.backtest is None else outcome.backtest.points,
    }
    texts = {name: table.to_csv(index=False) for name, table in tables.items() if table is not None}
    if outcome.decision is not None:
        texts["decision.json"] = decision_file(outcome).model_dump_json(indent=2) + "\n"
    texts["report.html"] = render(outcome, template)
    for name, text in texts.items():
        with atomic_write(folder / name) as part:
            part.write_text(text, encoding="utf-8")
    outcome.fit.save(folder / "fit.nc")
    # Only what a study wrote here is taken away: a file of that name may be somebody's own.
    listed = folder / STORE / WRITTEN
    earlier = read_json(listed) if listed.is_file() else []
    for name in set(earlier) & set(FILES) - set(texts) - {"fit.nc"}:
        (folder / name).unlink(missing_ok=True)
    write_json(sorted([*texts, "fit.nc"]), listed)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """The folder, made; what the system says of it in words."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise StorageError(f"{folder} cannot be written: {error.strerror or error}.") from error


def _plain(result: CheckResult) -> dict[str, Any]:
    """A check as JSON has it: NumPy's truth values and numbers are Python's."""
    return asdict(result) | {
        "passed": None if result.passed is None else bool(result.passed),
        "value": float(result.value),
        "threshold": float(result.threshold),
    }
