"""Run a study file: fit, checks, backtest, bands, decision, report. Results of an earlier run are
read and not computed again.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayeslaw.answers.allocation import allocate, summarised
from bayeslaw.answers.overoptimization import peaks
from bayeslaw.atomic import is_folder, require_writable, settle, swept_clean, write_together
from bayeslaw.checks import CheckResult, check
from bayeslaw.decisions import Decision, decide, next_runs
from bayeslaw.decisions.utility import evpi_along, met
from bayeslaw.errors import StorageError
from bayeslaw.fitted import Fit, load
from bayeslaw.fitting import fit
from bayeslaw.posterior.sweep import Sweep, sweep
from bayeslaw.study.requests import rows_of
from bayeslaw.study.store import (
    Store,
    key_of,
    read_checks,
    read_names,
    runs_digest,
    versions,
    write_json,
)
from bayeslaw.text import csv_of
from bayeslaw.validation.backtesting import Backtest, backtest
from bayeslaw.validation.storage import load_backtest, save_backtest

if TYPE_CHECKING:
    from bayeslaw.laws.base import Law
    from bayeslaw.study.prepare import Prepared
    from bayeslaw.study.result import StudyResult

#: The files that a study may write. Those of an earlier study that this one does not write are
#: removed.
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
#: The folder of stored results, inside the folder of a study.
STORE = ".bayeslaw"
#: The list of files that the last study wrote, inside the folder of stored results.
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
    raw_csv: bool = False,
) -> StudyResult:
    """Run a study file from end to end.

    Results are kept in ``output/.bayeslaw``. The name of a result is a digest of everything that it
    depends on: data, spec, sampler settings, seed, versions and code. A second run computes only
    what has changed, an interrupted run continues after its last finished stage, and two runs at
    the same time write whole and equal files. The other files of the folder are written when all
    results are there, in one step (`bayeslaw.atomic.write_together`): they are all of one study,
    also if the process is killed meanwhile.

    Parameters
    ----------
    study : path of the TOML file. ``bayeslaw init`` writes one to start from;
        `bayeslaw.study.schema` has every key.
    output : folder for ``fit.nc``, ``bands.csv``, ``backtest.csv``, ``next_runs.csv``,
        ``allocation.csv``, ``peaks.csv``, ``decision.json`` (its schema is
        `bayeslaw.study.result.DecisionFile`) and ``report.html``, as far as the file asks for
        them. None: a folder beside the file, with its name.
    template : a Jinja2 template that extends ``report.html.jinja`` and overrides its blocks
        (`bayeslaw.study.report`). It is run in Jinja's sandbox: it reads results and writes
        nothing.
    allow_import : import a law of your own, ``law = "my_module:MyLaw"``.
    progressbar : show the sampler's progress.
    say : called with one line of text for each stage.
    stored : sample nothing, and read only the results of earlier runs.
    raw_csv : write texts to CSV files as they are. False: those that a spreadsheet would take for a
        formula have an apostrophe in front (`bayeslaw.text.csv_of`).

    Returns
    -------
    StudyResult

    Raises
    ------
    StudyError : every fault of the file, or of the template, before anything is fitted or written.
    StorageError : the folder, or one of its files, cannot be written, before anything is fitted;
        with ``stored``, a result is missing.
    SpecError, SamplingError : as `bayeslaw.fit`.

    Examples
    --------
    ``bl.run_study("study.toml", "out").decision``
    """
    from bayeslaw.study.prepare import prepare

    prepared = prepare(study, allow_import=allow_import)
    folder = Path(output) if output is not None else prepared.path.with_suffix("")
    if template is not None:
        from bayeslaw.study.report.render import require_template

        require_template(template)
    if stored and not is_folder(folder / STORE):
        raise StorageError(f"{folder} has no results of a study: run it first (bayeslaw run).")
    with _writing(folder):
        (folder / STORE).mkdir(exist_ok=True)
        settle(folder, folder / STORE)
        store = Store.at(folder / STORE)
        swept_clean(folder)
        for name in _asked(prepared):
            require_writable(folder / name)
    stages = _Stages(store, folder, say or (lambda text: None), stored)
    result = _computed(prepared, stages, progressbar, _command(study, folder, allow_import))
    with _writing(folder):
        _publish(result, folder, template, raw_csv)
    return result


def _asked(prepared: Prepared) -> list[str]:
    """The names of the files that a study writes."""
    study = prepared.study
    asked = {
        "bands.csv": bool(study.predict) or study.decision is not None,
        "backtest.csv": study.backtest is not None,
        "next_runs.csv": study.next_runs is not None,
        "allocation.csv": study.allocate is not None,
        "peaks.csv": _has_peaks(prepared.law),
        "decision.json": study.decision is not None,
    }
    return [name for name in FILES if asked.get(name, True)]


def _has_peaks(law: Law) -> bool:
    """Whether a law is one of a score that peaks."""
    return any(name.startswith("kl_peak") for name in law.quantities)


def _command(study: str | Path, folder: Path, allow_import: bool) -> str:
    """The command that runs the study."""
    command = f"bayeslaw run {shlex.quote(str(study))} -o {shlex.quote(str(folder))}"
    return f"{command} --allow-import" if allow_import else command


@dataclass(frozen=True, slots=True)
class _Stages:
    """The slow stages of a study. Each result is read from the store, or computed and stored.

    Attributes
    ----------
    store, folder : the stored results, and the folder of the study.
    say : told which stage is computed or read.
    stored : compute nothing.
    reused : the stages that were read.
    """

    store: Store
    folder: Path
    say: Callable[[str], None]
    stored: bool
    reused: list[str] = field(default_factory=list)

    def result[T](
        self,
        kind: str,
        key: str,
        ending: str,
        load: Callable[[Path], T],
        make: Callable[[], T],
        save: Callable[[T, Path], object],
    ) -> T:
        """The result of one stage: see `bayeslaw.study.store.Store.keep`."""

        def computed() -> T:
            if self.stored:
                raise StorageError(
                    f"{self.folder} has no {kind} of this study as it stands: run it first"
                    " (bayeslaw run)."
                )
            self.say(f"{kind} ...")
            return make()

        value, was_stored = self.store.keep(kind, key, ending, load, computed, save)
        if was_stored:
            self.reused.append(kind)
            self.say(f"{kind}: from an earlier run")
        return value


def _computed(prepared: Prepared, stages: _Stages, progressbar: bool, command: str) -> StudyResult:
    """All results of a study."""
    from bayeslaw.study.result import StudyResult

    data = runs_digest(prepared.runs)
    fitted, checks, backtested = _sampled(prepared, stages, data, progressbar)
    stages.say("predictions and decision ...")
    decision = _decision(prepared, fitted, checks, backtested)
    bands, swept = _bands(prepared, fitted)
    return StudyResult(
        prepared=prepared,
        fit=fitted,
        summary=fitted.summary(),
        checks=tuple(checks),
        bands=bands,
        backtest=backtested,
        decision=decision,
        worth=_worth(prepared, decision),
        next_runs=_next_runs(prepared, fitted),
        allocation=_allocation(prepared, fitted),
        sweep=swept,
        peaks=_peaks(prepared, fitted),
        reused=tuple(stages.reused),
        provenance=_provenance(prepared, fitted, data, command),
    )


def _sampled(
    prepared: Prepared, stages: _Stages, data: str, progressbar: bool
) -> tuple[Fit, list[CheckResult], Backtest | None]:
    """The stages that take long: the fit, its checks, the backtest (None if there is none)."""
    study, spec, runs = prepared.study, prepared.spec, prepared.runs
    settings = study.sampling.model_dump() | {"random_seed": study.study.seed}
    fit_key = key_of("fit", data, spec.to_json(), settings)
    fitted: Fit = stages.result(
        "fit",
        fit_key,
        ".nc",
        load,
        lambda: fit(spec, runs, progressbar=progressbar, **settings),
        lambda fitted, path: fitted.save(path),
    )
    checks: list[CheckResult] = stages.result(
        "checks",
        fit_key,
        ".json",
        read_checks,
        lambda: check(fitted),
        lambda results, path: write_json([_plain(result) for result in results], path),
    )
    if study.backtest is None:
        return fitted, checks, None
    options: dict[str, Any] = study.backtest.model_dump()
    backtested: Backtest = stages.result(
        "backtest",
        key_of("backtest", data, spec.to_json(), settings, options),
        ".nc",
        load_backtest,
        lambda: backtest(spec, runs, progressbar=progressbar, **options, **settings),
        save_backtest,
    )
    return fitted, checks, backtested


def _decision(
    prepared: Prepared, fitted: Fit, checks: list[CheckResult], backtested: Backtest | None
) -> Decision | None:
    """The decision; None if the file asks for none."""
    section = prepared.study.decision
    if section is None or prepared.options is None:
        return None
    assert prepared.target is not None and prepared.costs is not None
    return decide(
        fitted,
        prepared.options,
        prepared.target,
        at=section.at,
        cost=list(prepared.costs),
        value=section.value,
        go_at=section.go_at,
        no_go_at=section.no_go_at,
        checks=checks,
        backtest=backtested,
        far=section.far,
    )


def _next_runs(prepared: Prepared, fitted: Fit) -> pd.DataFrame | None:
    """The candidate runs, ranked by how much they say about the decision; None without any."""
    section, wanted = prepared.study.decision, prepared.study.next_runs
    if section is None or wanted is None or prepared.candidates is None:
        return None
    assert prepared.candidate_costs is not None and prepared.options is not None
    assert prepared.costs is not None
    # FLOP are no price: they are compared with no value.
    of_compute = wanted.cost == "flop"
    # Nor are the ones that stand where the file has no cost.
    unpriced = wanted.cost is None and "cost" not in rows_of(wanted.candidates)
    prices = None if unpriced else list(prepared.candidate_costs)
    return next_runs(
        fitted,
        prepared.candidates,
        prepared.options,
        at=section.at,
        cost="flop" if of_compute else prices,
        budget=wanted.budget,
        target=prepared.target,
        value=section.value,
        option_cost=list(prepared.costs),
        go_at=section.go_at,
        no_go_at=section.no_go_at,
        unit=section.unit,
    )


def _allocation(prepared: Prepared, fitted: Fit) -> pd.DataFrame | None:
    """The best split of each budget: a row a budget; None if the file asks for none."""
    section = prepared.study.allocate
    if section is None:
        return None
    budgets = section.compute if isinstance(section.compute, list) else [section.compute]
    split = allocate(fitted, budgets, inference_tokens=section.inference_tokens, at=section.at)
    return summarised(split)


def _bands(prepared: Prepared, fitted: Fit) -> tuple[pd.DataFrame | None, Sweep | None]:
    """Bands at the points to predict, or else at the options; and the bands for the figure, which
    goes through the options, or else through the points."""
    at_points = None if prepared.points is None else fitted.bands(prepared.points)
    # A new group among the options is said by the reasons of the decision.
    if prepared.option_points is None:
        return at_points, None if at_points is None else sweep(fitted, at_points)
    at_options = fitted.bands(prepared.option_points, new_groups=True)
    return at_options if at_points is None else at_points, sweep(fitted, at_options)


def _peaks(prepared: Prepared, fitted: Fit) -> pd.DataFrame | None:
    """Where the gold score peaks, a row a group; None for a law of something else."""
    return peaks(fitted) if _has_peaks(prepared.law) else None


def _worth(
    prepared: Prepared, decision: Decision | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """What options and perfect information are worth, for values of meeting the target from 0 to
    twice the study's: see `bayeslaw.study.result.StudyResult`."""
    section = prepared.study.decision
    if decision is None or section is None or not section.value or section.value <= 0:
        return None
    values = np.linspace(0, 2 * section.value, 121)[1:]
    reached = met(decision.draws, decision.target, prepared.law.response.lower_is_better)
    return values, *evpi_along(reached, decision.table["cost"].to_numpy(float), values)


def _provenance(prepared: Prepared, fitted: Fit, data: str, command: str) -> dict[str, str]:
    """What the numbers depend on, and the command that computes them again."""
    libraries = versions()
    if "python" in fitted.versions:
        libraries["python"] = fitted.versions["python"]
    return {
        "study file": prepared.path.name,
        "runs": Path(prepared.runs.source).name,
        "runs digest": data,
        "random seed": str(fitted.random_seed),
        "command": command,
        **{f"version of {name}": number for name, number in libraries.items()},
    }


def _publish(result: StudyResult, folder: Path, template: str | Path | None, raw_csv: bool) -> None:
    """Write every file of the study in one step. All texts are made before, and files of an earlier
    study that this one does not write are removed.
    """
    from bayeslaw.study.report import render
    from bayeslaw.study.result import decision_file

    tables = {
        "bands.csv": result.bands,
        "next_runs.csv": result.next_runs,
        "allocation.csv": result.allocation,
        "peaks.csv": result.peaks,
        "backtest.csv": None if result.backtest is None else result.backtest.points,
    }
    texts = {
        name: csv_of(table, raw=raw_csv) for name, table in tables.items() if table is not None
    }
    if result.decision is not None:
        texts["decision.json"] = decision_file(result).model_dump_json(indent=2) + "\n"
    texts["report.html"] = render(result, template)
    files: dict[str, Callable[[Path], object]] = {
        name: partial(_write_text, text) for name, text in texts.items()
    }
    files["fit.nc"] = result.fit.save
    # Only files that a study wrote are removed: a file of that name may be the user's own.
    listed = folder / STORE / WRITTEN
    earlier = read_names(listed) & set(FILES)
    write_json(sorted(earlier | set(files)), listed)  # known to be a study's, whatever happens now
    write_together(folder, folder / STORE, files, drop=sorted(earlier - set(files)))
    write_json(sorted(files), listed)


def _write_text(text: str, path: Path) -> None:
    """Write a text as it is: no end of a line becomes another."""
    path.write_bytes(text.encode(errors="replace"))


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Make the folder; an error of the operating system while writing becomes a StorageError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise StorageError(f"{folder} cannot be written: {error.strerror or error}.") from error


def _plain(result: CheckResult) -> dict[str, Any]:
    """A check as JSON: NumPy's truth values and numbers become Python's."""
    return asdict(result) | {
        "passed": None if result.passed is None else bool(result.passed),
        "value": float(result.value),
        "threshold": float(result.threshold),
    }
