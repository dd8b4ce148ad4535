"""Figures: their content, read off the Axes, without looking."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

import bayeslaw as bl
from bayeslaw import plots
from bayeslaw.errors import SpecError
from bayeslaw.plots.style import magnitude

mpl.use("Agg")


@pytest.fixture
def table() -> pd.DataFrame:
    x = np.geomspace(1e9, 1e11, 30)
    rows = []
    for task, level in (("a", 2.0), ("b", 3.0)):
        median = level * (x / 1e9) ** -0.1
        part = {"model_size": x, "task": task, "median": median, "distance_model_size": np.log10(x / np.clip(x, 1e9, 1e10))}
        for p, width in ((50, 0.02), (90, 0.05)):
            part |= {f"lower_{p}": median * (1 - width), f"upper_{p}": median * (1 + width)}
        rows.append(pd.DataFrame(part))
    return pd.concat(rows)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    mpl.pyplot.close("all")


def test_a_panel_holds_its_groups_median_bands_and_runs(table: pd.DataFrame) -> None:
    runs = pd.DataFrame({"model_size": [2e9, 4e9], "task": ["a", "b"], "loss": [1.9, 2.7]})
    axes = plots.bands(
        table,
        x="model_size",
        runs=runs,
        hidden=runs.assign(model_size=5e10),
        by=["task"],
        x_unit="parameters",
        response_unit="nats per token",
    )
    assert [axis.get_title() for axis in axes] == ["a", "b"]
    lines = {line.get_label(): line for line in axes[1].get_lines()}
    np.testing.assert_allclose(lines["median"].get_ydata(), table.loc[table["task"] == "b", "median"])
    np.testing.assert_allclose(lines["runs"].get_xydata(), [[4e9, 2.7]])
    np.testing.assert_allclose(lines["unseen runs"].get_xydata(), [[5e10, 2.7]])
    bands = {c.get_label(): c for c in axes[0].collections}
    low, high = bands["90 % of runs"].get_datalim(axes[0].transData).intervaly
    assert (low, high) == pytest.approx(
        (table.loc[table["task"] == "a", "lower_90"].min(), table.loc[table["task"] == "a", "upper_90"].max())
    )
    assert axes[0].get_xscale() == axes[0].get_yscale() == "log"
    assert axes[0].get_xlabel() == "model size (parameters)"
    assert axes[0].get_ylabel() == "loss (nats per token)"


def test_the_region_beyond_the_runs_is_marked_where_it_begins(table: pd.DataFrame) -> None:
    axis = plots.bands(table[table["task"] == "a"], x="model_size")[0]
    (shade,) = [patch for patch in axis.patches if patch.get_label() == "beyond the runs"]
    left, right = shade.get_x(), shade.get_x() + shade.get_width()
    inside = table.loc[table["distance_model_size"] == 0, "model_size"].max()
    assert (left, right) == pytest.approx((inside, 1e11))


def test_given_axes_are_used_and_nothing_global_changes(table: pd.DataFrame) -> None:
    before = dict(mpl.rcParams)
    _, given = mpl.pyplot.subplots()
    assert plots.bands(table[table["task"] == "a"], x="model_size", axes=given)[0] is given
    assert dict(mpl.rcParams) == before


def test_mistakes_are_named(table: pd.DataFrame) -> None:
    with pytest.raises(SpecError, match="no column data_size"):
        plots.bands(table, x="data_size")
    _, given = mpl.pyplot.subplots()
    with pytest.raises(SpecError, match="2 panels and 1 Axes"):
        plots.bands(table, x="model_size", by=["task"], axes=given)


@pytest.mark.parametrize("width", [2.7, 10.7])  # 400 and 1600 pixels at 150 dots an inch
def test_text_stays_inside_the_figure(table: pd.DataFrame, width: float) -> None:
    runs = pd.DataFrame({"model_size": [2e9], "task": ["a"], "loss": [1.9]})
    axes = plots.bands(table, x="model_size", by=["task"], runs=runs, hidden=runs, width=width, title="simulated")
    figure = axes[0].figure
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    page = figure.bbox
    for text in [*(axis.title for axis in axes), *(axis.xaxis.label for axis in axes), *figure.legends[0].get_texts()]:
        box = text.get_window_extent(renderer)
        assert page.x0 - 2 <= box.x0 and box.x1 <= page.x1 + 2, text.get_text()


@pytest.mark.parametrize(("value", "text"), [(1.6e10, "16B"), (7.5e5, "750K"), (1.4e12, "1.4T"), (64, "64"), (6e23, "6e+23"), (0.5, "0.5")])
def test_magnitudes_read_as_people_write_them(value: float, text: str) -> None:
    assert magnitude(value) == text


@pytest.fixture
def backtested() -> pd.DataFrame:
    """Points of a backtest by two methods, one without bands; of ten hidden runs of the first, nine lie within 90 %."""
    x = np.geomspace(1e9, 1e10, 10)
    own = pd.DataFrame({"method": "bayeslaw", "model_size": x, "task": ["a", "b"] * 5, "observed": 2.0, "median": 2.0, "pit": np.linspace(0.05, 0.95, 10)})
    own = own.assign(lower_50=1.9, upper_50=2.1, lower_90=1.8, upper_90=2.2, inside_50=[True] * 5 + [False] * 5, inside_90=[True] * 9 + [False])
    return pd.concat([own, own[["model_size", "task", "observed", "median"]].assign(method="best_so_far")], ignore_index=True)


def test_coverage_is_drawn_against_nominal(backtested: pd.DataFrame) -> None:
    axis = plots.coverage(backtested, title="simulated")
    lines = {line.get_label(): line.get_xydata() for line in axis.get_lines()}
    np.testing.assert_allclose(lines["bayeslaw"], [[50, 50], [90, 90]])
    assert "best_so_far" not in lines and axis.get_title() == "simulated"
    with pytest.raises(SpecError, match="give it the points of a backtest"):
        plots.coverage(backtested[["method"]])


def test_the_pit_counts_every_run(backtested: pd.DataFrame) -> None:
    axis = plots.pit(backtested, bins=5)
    assert [bar.get_height() for bar in axis.patches if bar.get_width() == pytest.approx(0.2)] == [2.0] * 5
    with pytest.raises(SpecError, match="no PIT of the method 'best_so_far'"):
        plots.pit(backtested, method="best_so_far")
    assert len(plots.calibration(backtested, width=4.0)) == 2


def test_hits_and_misses_are_told_apart(backtested: pd.DataFrame) -> None:
    seen = pd.DataFrame({"model_size": [1e8, 2e8, 1e8], "task": ["a", "a", "b"], "loss": [3.0, 2.9, 3.1]})
    axes = plots.hindsight(backtested, seen, x="model_size", by=["task"], x_unit="parameters")
    assert [axis.get_title() for axis in axes] == ["a: 5 of 5 within", "b: 4 of 5 within"]
    lines = {line.get_label(): line.get_xydata() for line in axes[1].get_lines()}
    np.testing.assert_allclose(lines["hidden run, outside"], [[1e10, 2.0]])
    np.testing.assert_allclose(lines["runs that were seen"], [[1e8, 3.1]])
    with pytest.raises(SpecError, match="2 panels and 1 Axes"):
        plots.hindsight(backtested, seen, x="model_size", by=["task"], axes=axes[0])
    with pytest.raises(SpecError, match="no column lower_99"):
        plots.hindsight(backtested, seen, x="model_size", prob=0.99)


# ---- Over-optimisation


@pytest.fixture
def curves() -> pd.DataFrame:
    """Bands of two reward models along KL, whose labels are text in one table and numbers in another."""
    kl = np.linspace(0.1, 100, 30)
    parts = []
    for size, level in (("3e+06", 0.4), ("3e+09", 0.5)):
        median = level * np.sqrt(kl)
        parts.append(pd.DataFrame({"kl": kl, "reward_model_size": size, "median": median, "lower_90": median - 0.1, "upper_90": median + 0.1}))
    return pd.concat(parts, ignore_index=True)


def test_scores_are_drawn_against_the_root_of_kl_with_the_density_of_the_peak(curves: pd.DataFrame) -> None:
    runs = pd.DataFrame({"kl": [4.0, 9.0], "reward_model_size": [3e6, 3e9], "gold_score": [0.8, 1.5], "proxy_score": [1.0, 2.0]})
    peaks = pd.DataFrame({"reward_model_size": [3e6] * 200 + [3e9] * 200, "kl_peak": [*np.linspace(20, 30, 200), *np.linspace(50, 150, 200)]})
    proxy = curves.assign(median=curves["median"] * 1.5)
    axes = plots.scores(curves, proxy=proxy, runs=runs, hidden=runs.assign(kl=64.0), peaks=peaks, by=["reward_model_size"], unit="simulated", title="simulated")
    assert [axis.get_title() for axis in axes] == ["reward model size 3M", "reward model size 3B"]
    lines = {line.get_label(): line for line in axes[1].get_lines()}
    np.testing.assert_allclose(lines["gold, runs"].get_xydata(), [[3.0, 1.5]])
    np.testing.assert_allclose(lines["proxy, runs"].get_xydata(), [[3.0, 2.0]])
    np.testing.assert_allclose(lines["gold, unseen runs"].get_xydata(), [[8.0, 1.5]])
    np.testing.assert_allclose(lines["gold, median"].get_xdata(), np.sqrt(np.linspace(0.1, 100, 30)))
    assert not axes[0].texts and "no peak below KL = 100: 50%" in axes[1].texts[0].get_text()
    density = next(c for c in axes[0].collections if c.get_label() == "where gold peaks")
    box = density.get_paths()[0].vertices
    high = box[box[:, 1] > box[:, 1].min() + 1e-9][:, 0]
    assert high.min() > 4.2 and high.max() < 5.8  # the roots of 20 and 30
    figure = axes[0].figure
    figure.canvas.draw()
    for text in figure.legends[0].get_texts():
        box = text.get_window_extent(figure.canvas.get_renderer())
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1, text.get_text()
    with pytest.raises(SpecError, match="no column kl"):
        plots.scores(curves.drop(columns="kl"))


def test_the_peak_by_size_and_the_watched_run_show_their_tables() -> None:
    table = pd.DataFrame({"reward_model_size": [3e6, 3e9], "kl_peak": [15.0, 75.0], "lower_90_kl_peak": [10.0, 60.0], "upper_90_kl_peak": [20.0, 100.0]})
    axis = plots.peak_by_size(table, title="simulated")
    np.testing.assert_allclose(axis.get_lines()[0].get_xydata(), [[3e6, 15], [3e9, 75]])
    assert axis.get_ylabel() == "KL at the peak (nats)" and axis.get_xscale() == axis.get_yscale() == "log"
    looks = table.assign(steps_seen=[100, 200], p_past_peak=[0.2, 0.8], p_no_peak=[0.3, 0.1], current_kl=[5.0, 9.0])
    top, bottom = plots.watched(looks, x="steps_seen", authors=7.0, title="simulated")
    np.testing.assert_allclose(top.get_lines()[0].get_xydata(), [[100, 20], [200, 80]])
    assert {line.get_label() for line in bottom.get_lines()} >= {"median", "the run's own KL", "peak reported by the run's authors"}
    for draw in (lambda: plots.peak_by_size(table[["kl_peak"]]), lambda: plots.watched(table, x="steps_seen"), lambda: plots.best_checkpoint(table)):
        with pytest.raises(SpecError, match="no column"):
            draw()


def test_the_best_checkpoint_shows_probabilities_and_where_evaluations_go() -> None:
    table = pd.DataFrame({"kl": [9.0, 4.0], "p_best": [0.7, 0.3], "evaluations": [300, 100]})
    axis = plots.best_checkpoint(table, title="simulated")
    assert [bar.get_height() for bar in axis.patches] == pytest.approx([30, 70])
    np.testing.assert_allclose(axis.get_lines()[0].get_ydata(), [25, 75])
    assert [text.get_text() for text in axis.get_xticklabels()] == ["4", "9"]


def test_contours_of_an_allocation(chinchilla_fit: bl.Fit) -> None:
    sizes = np.geomspace(1e9, 1e11, 12)
    along = pd.concat([bl.isoflop(chinchilla_fit, compute, sizes) for compute in (1e21, 1e22)], ignore_index=True)
    optima = pd.DataFrame({"compute": [1e21], "model_size": [3e9], "loss": [2.3], "lower_90_model_size": [2e9], "upper_90_model_size": [4e9]})
    axis = plots.isoflop(along, optima=optima)
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["1e+21 FLOP", "1e+22 FLOP", "optimum, 90 %"]
    needed = pd.concat([bl.isoloss(chinchilla_fit, loss, sizes) for loss in (2.4, 2.0)], ignore_index=True)
    axis = plots.isoloss(needed, frontier=along[["model_size", "data_size"]].iloc[:3])
    assert np.isfinite(axis.get_ylim()).all() and "tokens" in axis.get_ylabel()
    with pytest.raises(SpecError, match="has no column median"):
        plots.isoflop(along.drop(columns="median"))


def test_choices_of_hyperparameters() -> None:
    rate, batch = (x.ravel() for x in np.meshgrid(np.geomspace(1e-4, 1e-2, 9), np.geomspace(1e5, 1e6, 7)))
    excess = 0.01 * np.log(rate / 1e-3) ** 2 + 0.01 * np.log(batch / 3e5) ** 2
    table = pd.DataFrame({"learning_rate": rate, "batch_size": batch, "excess": excess, "p_near_optimal": np.exp(-100 * excess)})
    axis = plots.hyperparameters(table, runs=table.iloc[:5])
    star = next(line for line in axis.get_lines() if line.get_marker() == "*")
    assert star.get_xdata()[0] == pytest.approx(1e-3) and axis.get_xscale() == "log"
