"""Figures: their content, read off the Axes, without looking."""

from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from helpers import stored

import bayeslaw as bl
from bayeslaw import plots
from bayeslaw.decisions import go_no_go
from bayeslaw.decisions.candidates import ADDED
from bayeslaw.decisions.utility import break_even_targets, evpi_along
from bayeslaw.errors import SpecError
from bayeslaw.plots.style import BAND, BEYOND, magnitude

mpl.use("Agg")


@pytest.fixture
def table() -> pd.DataFrame:
    x = np.geomspace(1e9, 1e11, 30)
    rows = []
    for task, level in (("a", 2.0), ("b", 3.0)):
        median = level * (x / 1e9) ** -0.1
        part = {
            "model_size": x,
            "task": task,
            "median": median,
            "distance_model_size": np.log10(x / np.clip(x, 1e9, 1e10)),
        }
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
    np.testing.assert_allclose(
        lines["median"].get_ydata(), table.loc[table["task"] == "b", "median"]
    )
    np.testing.assert_allclose(lines["runs"].get_xydata(), [[4e9, 2.7]])
    np.testing.assert_allclose(lines["unseen runs"].get_xydata(), [[5e10, 2.7]])
    bands = {c.get_label(): c for c in axes[0].collections}
    low, high = bands["90 % of runs"].get_datalim(axes[0].transData).intervaly
    assert (low, high) == pytest.approx(
        (
            table.loc[table["task"] == "a", "lower_90"].min(),
            table.loc[table["task"] == "a", "upper_90"].max(),
        )
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
    axes = plots.bands(
        table, x="model_size", by=["task"], runs=runs, hidden=runs, width=width, title="simulated"
    )
    figure = axes[0].figure
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    page = figure.bbox
    for text in [
        *(axis.title for axis in axes),
        *(axis.xaxis.label for axis in axes),
        *figure.legends[0].get_texts(),
    ]:
        box = text.get_window_extent(renderer)
        assert page.x0 - 2 <= box.x0, text.get_text()
        assert box.x1 <= page.x1 + 2, text.get_text()


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.6e10, "16B"), (7.5e5, "750K"), (1.4e12, "1.4T"), (64, "64"), (6e23, "6e+23"), (0.5, "0.5")],
)
def test_magnitudes_read_as_people_write_them(value: float, text: str) -> None:
    assert magnitude(value) == text


@pytest.fixture
def backtested() -> pd.DataFrame:
    """Points of a backtest by two methods, one without bands; of ten hidden runs of the first, nine
    lie within 90 %.
    """
    x = np.geomspace(1e9, 1e10, 10)
    own = pd.DataFrame(
        {
            "method": "bayeslaw",
            "model_size": x,
            "task": ["a", "b"] * 5,
            "observed": 2.0,
            "median": 2.0,
            "pit": np.linspace(0.05, 0.95, 10),
        }
    )
    own = own.assign(
        lower_50=1.9,
        upper_50=2.1,
        lower_90=1.8,
        upper_90=2.2,
        inside_50=[True] * 5 + [False] * 5,
        inside_90=[True] * 9 + [False],
    )
    return pd.concat(
        [own, own[["model_size", "task", "observed", "median"]].assign(method="best_so_far")],
        ignore_index=True,
    )


def test_coverage_is_drawn_against_nominal(backtested: pd.DataFrame) -> None:
    axis = plots.coverage(backtested, title="simulated")
    lines = {line.get_label(): line.get_xydata() for line in axis.get_lines()}
    np.testing.assert_allclose(lines["bayeslaw"], [[50, 50], [90, 90]])
    assert "best_so_far" not in lines
    assert axis.get_title() == "simulated"
    with pytest.raises(SpecError, match="give it the points of a backtest"):
        plots.coverage(backtested[["method"]])


def test_the_pit_counts_every_run(backtested: pd.DataFrame) -> None:
    axis = plots.pit(backtested, bins=5)
    assert [bar.get_height() for bar in axis.patches if bar.get_width() == pytest.approx(0.2)] == [
        2.0
    ] * 5
    with pytest.raises(SpecError, match="no PIT of the method 'best_so_far'"):
        plots.pit(backtested, method="best_so_far")
    assert len(plots.calibration(backtested, width=4.0)) == 2


def test_regions_of_a_backtest_are_drawn(backtested: pd.DataFrame) -> None:
    at = [0.5, 0.9, *(np.arange(5) / 5)]
    regions = pd.DataFrame(
        {"measure": ["coverage"] * 2 + ["pit"] * 5, "at": at, "low": 0.1, "high": 0.4}
    )
    coverage = plots.coverage(backtested, regions=regions)
    (bars,) = coverage.collections
    np.testing.assert_allclose(bars.get_segments(), [[[50, 10], [50, 40]], [[90, 10], [90, 40]]])
    pit = plots.pit(backtested, bins=5, regions=regions)
    (region,) = pit.collections
    heights = region.get_paths()[0].vertices[:, 1]
    assert heights.min() == pytest.approx(1.0)  # 10 hidden runs
    assert heights.max() == pytest.approx(4.0)


def test_hits_and_misses_are_told_apart(backtested: pd.DataFrame) -> None:
    seen = pd.DataFrame(
        {"model_size": [1e8, 2e8, 1e8], "task": ["a", "a", "b"], "loss": [3.0, 2.9, 3.1]}
    )
    axes = plots.hindsight(backtested, seen, x="model_size", by=["task"], x_unit="parameters")
    assert [axis.get_title() for axis in axes] == ["a: 5 of 5 within", "b: 4 of 5 within"]
    lines = {line.get_label(): line.get_xydata() for line in axes[1].get_lines()}
    np.testing.assert_allclose(lines["hidden run, outside"], [[1e10, 2.0]])
    np.testing.assert_allclose(lines["runs that were seen"], [[1e8, 3.1]])
    with pytest.raises(SpecError, match="2 panels and 1 Axes"):
        plots.hindsight(backtested, seen, x="model_size", by=["task"], axes=axes[0])
    with pytest.raises(SpecError, match="no column lower_99"):
        plots.hindsight(backtested, seen, x="model_size", prob=0.99)


def test_titles_of_panels_keep_to_their_panels(backtested: pd.DataFrame) -> None:
    """Three panels with long names: no title reaches into the next or past the figure, and the
    legend of coverage hides no point.
    """
    three = pd.concat(
        [
            backtested.assign(task=f"wmt_en_de_{k}", method_of_tuning="prompt, base model en_de")
            for k in "abc"
        ]
    )
    seen = pd.DataFrame(columns=["model_size", "task", "method_of_tuning", "loss"])
    axes = plots.hindsight(three, seen, x="model_size", by=["task", "method_of_tuning"], width=9.0)
    figure = axes[0].figure
    figure.canvas.draw()
    boxes = [axis.title.get_window_extent(figure.canvas.get_renderer()) for axis in axes]
    assert all(one.x1 < next_.x0 for one, next_ in itertools.pairwise(boxes))
    assert boxes[0].x0 >= 0
    assert boxes[-1].x1 <= figure.bbox.x1
    # a count is not broken
    assert all(axis.get_title().splitlines()[-1] == "9 of 10 within" for axis in axes)
    axis = plots.calibration(backtested, width=4.0)[0]
    axis.figure.canvas.draw()
    legend = axis.get_legend().get_window_extent(axis.figure.canvas.get_renderer())
    assert legend.y1 < axis.get_window_extent().y0
    assert legend.x0 >= 0
    assert legend.x1 <= axis.figure.bbox.x1


# ---- Over-optimisation


@pytest.fixture
def curves() -> pd.DataFrame:
    """Bands of two reward models along KL, whose labels are text in one table and numbers in
    another.
    """
    kl = np.linspace(0.1, 100, 30)
    parts = []
    for size, level in (("3e+06", 0.4), ("3e+09", 0.5)):
        median = level * np.sqrt(kl)
        parts.append(
            pd.DataFrame(
                {
                    "kl": kl,
                    "reward_model_size": size,
                    "median": median,
                    "lower_90": median - 0.1,
                    "upper_90": median + 0.1,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def test_scores_are_drawn_against_the_root_of_kl_with_the_density_of_the_peak(
    curves: pd.DataFrame,
) -> None:
    runs = pd.DataFrame(
        {
            "kl": [4.0, 9.0],
            "reward_model_size": [3e6, 3e9],
            "gold_score": [0.8, 1.5],
            "proxy_score": [1.0, 2.0],
        }
    )
    peaks = pd.DataFrame(
        {
            "reward_model_size": [3e6] * 200 + [3e9] * 200,
            "kl_peak": [*np.linspace(20, 30, 200), *np.linspace(50, 150, 200)],
        }
    )
    proxy = curves.assign(median=curves["median"] * 1.5)
    axes = plots.scores(
        curves,
        proxy=proxy,
        runs=runs,
        hidden=runs.assign(kl=64.0),
        peaks=peaks,
        by=["reward_model_size"],
        unit="simulated",
        title="simulated",
    )
    assert [axis.get_title() for axis in axes] == ["reward model size 3M", "reward model size 3B"]
    lines = {line.get_label(): line for line in axes[1].get_lines()}
    np.testing.assert_allclose(lines["gold, runs"].get_xydata(), [[3.0, 1.5]])
    np.testing.assert_allclose(lines["proxy, runs"].get_xydata(), [[3.0, 2.0]])
    np.testing.assert_allclose(lines["gold, unseen runs"].get_xydata(), [[8.0, 1.5]])
    np.testing.assert_allclose(
        lines["gold, median"].get_xdata(), np.sqrt(np.linspace(0.1, 100, 30))
    )
    assert not axes[0].texts
    assert "no peak below KL = 100: 50%" in axes[1].texts[0].get_text()
    density = next(c for c in axes[0].collections if c.get_label() == "where gold peaks")
    box = density.get_paths()[0].vertices
    high = box[box[:, 1] > box[:, 1].min() + 1e-9][:, 0]
    # the roots of 20 and 30
    assert high.min() > 4.2
    assert high.max() < 5.8
    figure = axes[0].figure
    figure.canvas.draw()
    for text in figure.legends[0].get_texts():
        box = text.get_window_extent(figure.canvas.get_renderer())
        assert figure.bbox.x0 <= box.x0, text.get_text()
        assert box.x1 <= figure.bbox.x1, text.get_text()
    with pytest.raises(SpecError, match="no column kl"):
        plots.scores(curves.drop(columns="kl"))


def test_the_peak_by_size_and_the_watched_run_show_their_tables() -> None:
    table = pd.DataFrame(
        {
            "reward_model_size": [3e6, 3e9],
            "kl_peak": [15.0, 75.0],
            "lower_90_kl_peak": [10.0, 60.0],
            "upper_90_kl_peak": [20.0, 100.0],
        }
    )
    axis = plots.peak_by_size(table, title="simulated")
    np.testing.assert_allclose(axis.get_lines()[0].get_xydata(), [[3e6, 15], [3e9, 75]])
    assert axis.get_ylabel() == "KL at the peak (nats)"
    assert axis.get_xscale() == axis.get_yscale() == "log"
    looks = table.assign(
        steps_seen=[100, 200], p_past_peak=[0.2, 0.8], p_no_peak=[0.3, 0.1], current_kl=[5.0, 9.0]
    )
    top, bottom = plots.watched(looks, x="steps_seen", authors=7.0, title="simulated")
    np.testing.assert_allclose(top.get_lines()[0].get_xydata(), [[100, 20], [200, 80]])
    assert {line.get_label() for line in bottom.get_lines()} >= {
        "median",
        "the run's own KL",
        "peak reported by the run's authors",
    }
    for draw in (
        lambda: plots.peak_by_size(table[["kl_peak"]]),
        lambda: plots.watched(table, x="steps_seen"),
        lambda: plots.best_checkpoint(table),
    ):
        with pytest.raises(SpecError, match="no column"):
            draw()


def test_the_best_checkpoint_shows_probabilities_and_where_evaluations_go() -> None:
    table = pd.DataFrame({"kl": [9.0, 4.0], "p_best": [0.7, 0.3], "evaluations": [300, 100]})
    axis = plots.best_checkpoint(table, title="simulated")
    assert [bar.get_height() for bar in axis.patches] == pytest.approx([30, 70])
    np.testing.assert_allclose(axis.get_lines()[0].get_ydata(), [25, 75])
    assert [text.get_text() for text in axis.get_xticklabels()] == ["4", "9"]


@pytest.fixture
def chinchilla_fit() -> bl.Fit:
    """To a simulated grid."""
    return stored("chinchilla")


def test_contours_of_an_allocation(chinchilla_fit: bl.Fit) -> None:
    sizes = np.geomspace(1e9, 1e11, 12)
    along = pd.concat(
        [bl.isoflop(chinchilla_fit, compute, sizes) for compute in (1e21, 1e22)], ignore_index=True
    )
    optima = pd.DataFrame(
        {
            "compute": [1e21],
            "model_size": [3e9],
            "loss": [2.3],
            "lower_90_model_size": [2e9],
            "upper_90_model_size": [4e9],
        }
    )
    axis = plots.isoflop(along, optima=optima)
    assert [text.get_text() for text in axis.get_legend().get_texts()] == [
        "1e+21 FLOP",
        "1e+22 FLOP",
        "optimum, 90 %",
    ]
    needed = pd.concat(
        [bl.isoloss(chinchilla_fit, loss, sizes) for loss in (2.4, 2.0)], ignore_index=True
    )
    axis = plots.isoloss(needed, frontier=along[["model_size", "data_size"]].iloc[:3])
    assert np.isfinite(axis.get_ylim()).all()
    assert "tokens" in axis.get_ylabel()
    with pytest.raises(SpecError, match="has no column median"):
        plots.isoflop(along.drop(columns="median"))


def test_choices_of_hyperparameters() -> None:
    rate, batch = (
        x.ravel() for x in np.meshgrid(np.geomspace(1e-4, 1e-2, 9), np.geomspace(1e5, 1e6, 7))
    )
    excess = 0.01 * np.log(rate / 1e-3) ** 2 + 0.01 * np.log(batch / 3e5) ** 2
    table = pd.DataFrame(
        {
            "learning_rate": rate,
            "batch_size": batch,
            "excess": excess,
            "p_near_optimal": np.exp(-100 * excess),
        }
    )
    axis = plots.hyperparameters(table, runs=table.iloc[:5])
    star = next(line for line in axis.get_lines() if line.get_marker() == "*")
    assert star.get_xdata()[0] == pytest.approx(1e-3)
    assert axis.get_xscale() == "log"


# ---- Decisions


@pytest.fixture
def decided() -> tuple[pd.DataFrame, np.ndarray]:
    """Three options and what they would log; the target of 2 is met by half of the draws of the
    second.
    """
    spread = np.linspace(-0.3, 0.3, 601)
    draws = np.column_stack([spread + 3.0, spread + 2.0, spread + 1.0])
    rows = [
        {"method": m, "model_size": 7e9, "cost": c, "p_target": p, "median": x}
        for m, c, p, x in (
            ("lora", 1e3, 0.0, 3.0),
            ("fmt", 2e4, 0.5, 2.0),
            ("a_$b$", 3e5, 1.0, 1.0),
        )
    ]
    table = pd.DataFrame(rows)
    for p, half in ((50, 0.15), (90, 0.27)):
        table = table.assign(
            **{f"lower_{p}": table["median"] - half, f"upper_{p}": table["median"] + half}
        )
    return table.assign(p_best=[0.0, 0.0, 1.0], expected_regret=0.0, converged=True), draws


def words(axis: mpl.axes.Axes) -> list[str]:
    """All texts of the Axes, as they are shown."""
    return [text.get_text().replace(r"\$", "$") for text in axis.texts if text.get_text()]


@pytest.mark.parametrize("lower_is_better", [True, False])
def test_options_show_what_meets_the_target_and_what_it_costs(
    decided: tuple[pd.DataFrame, np.ndarray], lower_is_better: bool
) -> None:
    table, draws = decided
    axis = plots.options(
        table,
        draws,
        target=2.0,
        lower_is_better=lower_is_better,
        chosen=2,
        response_unit="nats per token",
        cost_unit="$",
        title="simulated",
    )
    assert words(axis) == [
        "lora",
        "<1 %",
        "1K",
        "fmt",
        "50 %",
        "20K",
        "a_$b$",
        ">99 %",
        "300K",
        "option",
        "P(target)",
        "cost ($)",
        "target 2",
    ]
    assert (
        next(text.get_text() for text in axis.texts if text.get_fontweight() == "bold")
        == r"a_\$b\$"
    )
    assert axis.get_xlabel() == "loss (nats per token)"
    assert axis.figure.get_suptitle() == "simulated"
    boxes = {"met": [], "not": []}
    for fill in axis.collections:
        colour = tuple(fill.get_facecolor()[0][:3]) if len(fill.get_facecolor()) else None
        which = {mpl.colors.to_rgb(BAND): "met", mpl.colors.to_rgb(BEYOND): "not"}.get(colour)
        if which and len(fill.get_paths()) and len(fill.get_paths()[0].vertices) > 10:
            boxes[which].append(fill.get_paths()[0].vertices[:, 0])
    for x in boxes["met"]:
        assert (x <= 2.0).all() if lower_is_better else (x >= 2.0).all()
    for x in boxes["not"]:
        assert (x >= 2.0).all() if lower_is_better else (x <= 2.0).all()
    assert len(boxes["met"]) >= 2
    assert len(boxes["not"]) >= 2
    says = [text.get_text() for text in axis.get_legend().get_texts()]
    assert says == [
        "chosen",
        f"meets the target (at or {'below' if lower_is_better else 'above'} 2)",
        "does not",
        "median, 50 % and 90 % of runs",
    ]


def test_options_that_cannot_be_drawn(decided: tuple[pd.DataFrame, np.ndarray]) -> None:
    table, draws = decided
    with pytest.raises(SpecError, match="table of options has no column p_target"):
        plots.options(table.drop(columns="p_target"), draws, target=2.0)
    with pytest.raises(SpecError, match="2 labels for 3 rows"):
        plots.options(table, draws, target=2.0, labels=["a", "b"])
    with pytest.raises(SpecError, match="13 rows cannot be drawn"):
        plots.options(pd.concat([table] * 5).iloc[:13], draws, target=2.0)
    for wrong in (draws[:, :2], draws * np.nan):
        with pytest.raises(SpecError, match="finite number for each sample and each of 3 options"):
            plots.options(table, wrong, target=2.0)
    free = plots.options(table.assign(cost=0.0), draws, target=2.0)
    assert "cost" not in words(free)
    assert len(words(free)) == 9
    sizes = plots.options(
        table.assign(method="lora", model_size=[7e9, 13e9, 70e9]), draws, target=2.0
    )
    assert words(sizes)[::3][:3] == ["model size 7B", "model size 13B", "model size 70B"]


@pytest.mark.parametrize("width", [4.5, 9.0])
@pytest.mark.parametrize("number", [1, 12])
def test_long_names_stay_inside_and_above_what_is_drawn(width: float, number: int) -> None:
    draws = np.linspace(0, 1, 200)[:, None] + np.linspace(0, 1, number)
    table = pd.DataFrame({"cost": 1e3, "p_target": 0.5, "median": np.median(draws, axis=0)})
    names = [
        f"{i}: a_name_of_{i} that, with its rank 64 and learning_rate 3e-4, goes on for longer than"
        " a line holds"
        for i in range(number)
    ]
    axis = plots.options(
        table, draws, target=0.5, labels=names, width=width, title="simulated runs, " * 6
    )
    curve = plots.target_curve(
        draws, target=0.5, go_at=0.8, no_go_at=0.2, labels=names, width=width
    )
    for drawn in (axis, curve):
        figure = drawn.figure
        figure.canvas.draw()
        renderer = figure.canvas.get_renderer()
        for text in [*drawn.texts, *drawn.get_legend().get_texts(), drawn.xaxis.label]:
            box = text.get_window_extent(renderer)
            assert figure.bbox.x0 - 2 <= box.x0, text.get_text()
            assert box.x1 <= figure.bbox.x1 + 2, text.get_text()
            assert box.y0 >= -2, text.get_text()
    boxes = sorted(
        (
            text.get_window_extent()
            for text in axis.texts
            if text.get_ha() == "left" and text.get_fontsize() == 8.5
        ),
        key=lambda box: -box.y0,
    )
    # lines of text do not run into each other
    assert all(below.y1 <= above.y0 + 2 for above, below in itertools.pairwise(boxes))
    assert " ".join(
        text.get_text()
        for text in axis.texts
        if text.get_ha() == "left" and text.get_fontsize() == 8.5
    ) == " ".join(names)


def test_draws_of_one_number_and_draws_far_apart_are_drawn(
    decided: tuple[pd.DataFrame, np.ndarray],
) -> None:
    table, _ = decided
    far = np.random.default_rng(0).standard_t(1.2, (500, 1))
    draws = np.column_stack([np.full(500, 0.5), far, 1e6 + far])
    axis = plots.options(table, draws, target=0.5)
    axis.figure.canvas.draw()
    assert np.isfinite(axis.get_xlim()).all()
    tallest = [
        np.ptp(fill.get_paths()[0].vertices[:, 1])
        for fill in axis.collections
        if isinstance(fill, mpl.collections.PolyCollection) and len(fill.get_paths())
    ]
    assert max(tallest) == pytest.approx(0.34)
    assert np.isfinite(tallest).all()


def test_the_target_curve_is_the_share_of_draws_and_flips_where_it_crosses_the_thresholds(
    decided: tuple[pd.DataFrame, np.ndarray],
) -> None:
    _, draws = decided
    for lower_is_better, says in (
        (True, "b (chosen): go from 2.18, no-go up to 1.82"),
        (False, "b (chosen): go up to 1.82, no-go from 2.18"),
    ):
        axis = plots.target_curve(
            draws,
            target=2.0,
            lower_is_better=lower_is_better,
            go_at=0.8,
            no_go_at=0.2,
            labels=["a", "b", "c"],
            chosen=1,
            response="gold_score",
        )
        lines = {line.get_label(): line for line in axis.get_lines()}
        x, share = lines[says].get_data()
        np.testing.assert_allclose(
            share, [(draws[:, 1] <= t if lower_is_better else draws[:, 1] >= t).mean() for t in x]
        )
        turns = break_even_targets(draws, 0.8, 0.2, lower_is_better)
        dots = [line.get_xydata() for line in axis.get_lines() if line.get_marker() == "o"]
        np.testing.assert_allclose(dots[1], [[turns["go"][1], 0.8], [turns["no-go"][1], 0.2]])
        assert axis.get_xlabel() == "target: gold score"
        assert words(axis) == ["target 2"]
        bands = {patch.get_label(): patch.get_bbox().intervaly.tolist() for patch in axis.patches}
        assert bands == {"go (at least 0.8)": [0.8, 1.0], "no-go (at most 0.2)": [0.0, 0.2]}
    with pytest.raises(SpecError, match="each of 2 options"):
        plots.target_curve(draws, target=2.0, go_at=0.8, no_go_at=0.2, labels=["a", "b"])


def test_the_value_of_information_says_which_option_is_best_from_where() -> None:
    # Met with probability 1/2 at cost 1, and always at cost 6: worth it from 2, and better from 10
    # on.
    met = np.array([[True, True], [False, True]] * 50)
    at = np.linspace(0, 20, 41)
    expected, perfect = evpi_along(met, np.array([1.0, 6.0]), at)
    axis = plots.value_of_information(
        at, expected, perfect, unit="$", labels=["cheap", "sure"], now=15.0, title="simulated"
    )
    lines = {line.get_label(): line for line in axis.get_lines()}
    np.testing.assert_allclose(lines["sure"].get_ydata(), at - 6)
    strip = [patch.get_bbox().intervalx.tolist() for patch in axis.patches]
    np.testing.assert_allclose(strip, [[0, 2], [2, 10], [10, 20]])
    assert words(axis) == ["nothing", "best: cheap", "best: sure", "2", "10", "now 15"]
    assert axis.get_xlabel() == r"value of meeting the target (\$)"
    assert axis.get_ylabel() == r"expected value (\$)"
    (shade,) = (c for c in axis.collections if c.get_label() == "value of perfect information")
    assert shade.get_datalim(axis.transData).y1 == pytest.approx(
        (expected.max(axis=1) + perfect).max()
    )
    logged = plots.value_of_information(at[1:], expected[1:], perfect[1:], log=True)
    assert logged.get_xscale() == "log"
    assert [text.get_text() for text in logged.get_legend().get_texts()][-2:] == [
        "option 1",
        "option 2",
    ]
    with pytest.raises(SpecError, match="at must rise"):
        plots.value_of_information(at[::-1], expected, perfect)
    with pytest.raises(SpecError, match="the shapes are"):
        plots.value_of_information(at, expected[1:], perfect)


def test_next_runs_show_what_is_bought_first() -> None:
    table = pd.DataFrame(
        {
            "data_size": [1e9 * (i + 1) for i in range(14)],
            "cost": 10.0,
            "variance_reduction": np.linspace(0.5, 0.1, 14),
            "regret_reduction": 1e-15,
            "per_cost": 0.1,
        }
    )
    (axis,) = plots.next_runs(table, cost_unit="GPU hours")
    assert words(axis)[:2] == ["data size 1B", "10"]
    assert "candidate (12 of 14)" in words(axis)
    assert "cost (GPU hours)" in words(axis)
    np.testing.assert_allclose(
        [bar.get_width() for bar in axis.patches], 100 * table["variance_reduction"].iloc[:12]
    )
    table = table.assign(
        bought=[2, 0, 0, 1, *[0] * 9, 3], regret_reduction=np.linspace(0, 0.02, 14)
    )
    table.attrs["variance_left"] = 0.25
    axes = plots.next_runs(table, title="simulated", width=4.5)
    assert words(axes[0])[:4] == [
        "1. data size 4B",
        "2. data size 1B",
        "3. data size 14B",
        "data size 2B",
    ]
    assert [bar.get_width() for bar in axes[1].patches[:3]] == pytest.approx(
        table["regret_reduction"].iloc[[3, 0, 13]].tolist()
    )
    legend = axes[0].get_legend()
    assert legend.get_title().get_text() == "all that are bought leave 25% of the variance"
    assert [text.get_text() for text in legend.get_texts()] == [
        "bought, in this order",
        "not bought",
    ]
    figure, given = mpl.pyplot.subplots()
    with pytest.raises(SpecError, match="2 panels and 1 Axes"):
        plots.next_runs(table, axes=given)
    assert plots.next_runs(table.assign(regret_reduction=0.0), axes=given)[0] is given
    with pytest.raises(SpecError, match="table of candidates has no column variance_reduction"):
        plots.next_runs(table.drop(columns="variance_reduction"))
    assert figure.axes == [given]


def test_decisions_of_a_fit_are_drawn(grouped_fit: bl.Fit) -> None:
    tasks = {"task": ["task0", "task1", "task2"]}
    found = bl.decide(
        grouped_fit, tasks, 0.75, at={"data_size": 5e9}, cost=[1, 3, 2], value=10.0, checks=[]
    )
    _, (left, right) = mpl.pyplot.subplots(1, 2, figsize=(12, 4))
    assert (
        plots.options(found.table, found.draws, target=found.target, chosen=found.chosen, ax=left)
        is left
    )
    assert (
        plots.target_curve(
            found.draws,
            target=found.target,
            go_at=found.go_at,
            no_go_at=found.no_go_at,
            chosen=found.chosen,
            ax=right,
        )
        is right
    )
    assert words(left)[::3][:3] == tasks["task"]
    says = right.get_legend().get_texts()[2 + found.chosen].get_text()
    assert f"go from {found.flips['go']:.4g}" in says.replace("\n", " ")
    runs = bl.next_runs(
        grouped_fit,
        {"task": ["task0", "task1"], "data_size": [5e8, 1e9]},
        tasks,
        at={"data_size": 5e9},
        budget=2.0,
    )
    assert len(plots.next_runs(runs)[0].patches) == 4


# ---- In a page


def drawn_svg(salt: str, label: str = "a") -> str:
    axis = plots.target_curve(
        np.linspace(0, 1, 50)[:, None],
        target=0.5,
        go_at=0.8,
        no_go_at=0.2,
        labels=[label],
        response="loss",
        title="simulated",
    )
    return plots.svg(axis, title='P("met") & <more>', salt=salt)


def test_a_figure_in_a_page_has_its_own_ids_and_the_colours_of_the_page() -> None:
    before, open_before = dict(mpl.rcParams), mpl.pyplot.get_fignums()
    first, second = drawn_svg("one"), drawn_svg("two")
    assert drawn_svg("one") == first
    assert dict(mpl.rcParams) == before
    assert mpl.pyplot.get_fignums() == open_before
    roots = [ElementTree.fromstring(page) for page in (first, second)]
    ids = [[element.get("id") for element in root.iter() if element.get("id")] for root in roots]
    assert len(set(ids[0] + ids[1])) == len(ids[0]) + len(ids[1])
    for page, own in zip((first, second), ids, strict=True):
        used = set(re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', page))
        assert used
        assert {a or b for a, b in used} <= set(own)
        assert page.startswith("<svg ")
        assert not re.search(
            r"<style|<metadata|<\?xml|DOCTYPE|#000000|#222222|#ffffff|#e5e5e5", page
        )
    root = roots[0]
    assert root.get("role") == "img"
    assert root.get("aria-label") == 'P("met") & <more>' == root[0].text
    assert root[0].tag.endswith("}title")
    assert root.get("width") is None
    assert root.get("height") is None
    assert root.get("viewBox")
    assert "fill: currentColor" in root.get("style", "")
    with pytest.raises(SpecError, match="salt is '1 a'"):
        drawn_svg("1 a")


def test_labels_from_data_are_text_in_a_page_whatever_they_say() -> None:
    label = '<script>alert(1)</script> & "x" id="y" $a_b$'
    page = drawn_svg("one", label)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    root = ElementTree.fromstring(page)
    shown = " ".join(element.text or "" for element in root.iter() if element.tag.endswith("}text"))
    assert label in shown
    assert not root.findall(".//{*}script")


def test_what_is_computed_of_candidates_is_not_in_their_names(grouped_fit: bl.Fit) -> None:
    """Every column that `bl.next_runs` and `bl.decide` add, value of a run and all, is told apart
    from those of the runs themselves.
    """
    target = float(np.median(grouped_fit.predict({"data_size": 4e9, "task": "task1"}).values))
    ranked, unvalued = (
        bl.next_runs(
            grouped_fit,
            {"data_size": [2e9, 4e9], "task": ["task0"]},
            {"data_size": [4e9], "task": ["task1"]},
            cost=[1.0, 1.0],
            budget=5.0,
            target=target,
            **terms,
        )
        for terms in ({"value": 10.0, "option_cost": [1.0]}, {})
    )
    decided = bl.decide(
        grouped_fit,
        {"task": ["task0", "task1"]},
        target,
        at={"data_size": 4e9},
        cost=[1, 2],
        value=10,
        checks=[],
    )
    assert {*ranked, *unvalued} - {"data_size", "task"} == set(ADDED)
    assert {c for c in decided.table if not c.startswith(("lower_", "upper_"))} - {
        "data_size",
        "task",
    } == set(go_no_go.ADDED)
    (axis,) = plots.next_runs(ranked)
    says = " ".join(text.get_text() for text in axis.texts)
    assert "2B" in says
    assert "value of run" not in says


def test_a_target_is_a_line_and_what_was_asked_for_a_mark(table: pd.DataFrame) -> None:
    marks = pd.DataFrame({"model_size": [1e11, 1e11], "task": ["a", "b"], "median": [1.2, 1.8]})
    runs = pd.DataFrame({"model_size": [2e9], "task": ["a"], "loss": [1.9]})
    axes = plots.bands(
        table,
        x="model_size",
        by=["task"],
        runs=runs,
        runs_are="runs, moved here by the law",
        target=1.5,
        marks=marks,
        marked="option",
    )
    for axis, median in zip(axes, (1.2, 1.8), strict=True):
        lines = {line.get_label(): line for line in axis.get_lines()}
        assert list(lines["target 1.5"].get_ydata()) == [1.5, 1.5]
        np.testing.assert_allclose(lines["option"].get_xydata(), [[1e11, median]])
    names = [text.get_text() for text in axes[0].figure.legends[0].get_texts()]
    assert {"target 1.5", "option", "runs, moved here by the law"} <= set(names)
    assert "runs" not in names
