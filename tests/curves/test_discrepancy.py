"""The discrepancy against dense Gaussian processes: likelihood, gradient, conditional draws, what
runs have in common.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytensor
import pytensor.tensor as pt
import pytest
from helpers import PARAMS, covariance, from_the_prior, once, unsampled
from scipy import integrate, special, stats

import bayeslaw as bl
from bayeslaw.curves.binning import binned
from bayeslaw.curves.paths import Curve, draw_paths
from bayeslaw.curves.shared import basis, extended, knots, smooth_covariance
from bayeslaw.curves.state_space import sequence, state_space
from bayeslaw.defaults import CURVATURE_MEMORY, CURVE_POINTS, OWN_COMPONENTS
from bayeslaw.errors import RunsWarning, SpecError
from bayeslaw.fitting import fit_each
from bayeslaw.model.build import build
from bayeslaw.model.filter_op import Filtered
from bayeslaw.model.noise_weights import Standardised
from bayeslaw.model.sampling import draw_prior
from bayeslaw.model.semivariance import TOGETHER, Semivariance
from bayeslaw.posterior.likelihood import log_likelihood
from bayeslaw.posterior.parameters import Parameters
from bayeslaw.spec.discrepancy import COMPONENTS
from bayeslaw.spec.noise import WEIGHT, log_density
from bayeslaw.spec.resolve import resolve

OWN = [names for n in (1, 2, 3) for names in itertools.combinations(COMPONENTS, n)]


@pytest.fixture(scope="module")
def curves() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Three simulated curves of different lengths, in no order; response, noise variance."""
    rng = np.random.default_rng(5)
    labels = rng.permutation(np.repeat(["a", "b", "c"], [7, 4, 9]))
    return rng.uniform(2, 6, 20), labels, rng.normal(0, 0.1, 20), rng.uniform(1e-5, 1e-3, 20)


@pytest.mark.parametrize("own", OWN, ids="+".join)
def test_likelihood_and_gradient_are_those_of_the_dense_normal(
    own: tuple[str, ...], curves: tuple[np.ndarray, ...]
) -> None:
    t, labels, y, noise = curves
    order, step, first = sequence(t, labels)
    sigma = pt.vector("sigma")
    names = [name for component in own for name in COMPONENTS[component].params]
    params = {name: sigma[i] for i, name in enumerate(names)}
    Phi, Q, h = state_space(own, step, first, params, pt.stack)
    r, R, seen = pt.vector("r"), pt.vector("R"), pt.vector("seen")
    value = Filtered(len(h))(r, R, seen, Phi, Q, h)[0]
    # The default's components are compiled as for a fit; each of the other thirteen would take the
    # compiler up to half a minute, for the same filter.
    mode = None if own == OWN_COMPONENTS else once()
    run = pytensor.function(
        [sigma, r, R, seen], [value, *pytensor.grad(value, [sigma, r, R])], mode=mode
    )
    at = np.array([PARAMS[name] for name in names])
    hidden = np.ones(20)
    hidden[[3, 11]] = 0.0
    for mask in (np.ones(20), hidden):
        found = run(at, y[order], noise[order], mask)
        kept = [order[(labels[order] == label) & (mask == 1)] for label in "abc"]
        starts = [t[labels == label].min() for label in "abc"]
        dense = sum(
            stats.multivariate_normal(
                cov=covariance(own, t[rows], start) + np.diag(noise[rows])
            ).logpdf(y[rows])
            for rows, start in zip(kept, starts, strict=True)
        )
        np.testing.assert_allclose(found[0], dense, rtol=1e-9)
        for i, point in enumerate((at, y[order], noise[order])):
            direction = np.random.default_rng(i).normal(size=len(point)) * abs(point)
            step_size = 1e-6
            ahead, back = (
                run(
                    *(
                        x + sign * step_size * direction if j == i else x
                        for j, x in enumerate((at, y[order], noise[order]))
                    ),
                    mask,
                )[0]
                for sign in (1, -1)
            )
            np.testing.assert_allclose(
                found[1 + i] @ direction, (ahead - back) / (2 * step_size), rtol=1e-5
            )


# Each number of states is compiled anew: here those of single components and of the default.
@pytest.mark.parametrize(
    "own",
    [
        own if len(own) == 1 or own == OWN_COMPONENTS else pytest.param(own, marks=pytest.mark.slow)
        for own in OWN
    ],
    ids="+".join,
)
def test_moments_of_a_path_are_those_of_the_dense_normal(own: tuple[str, ...]) -> None:
    """Mean and variance at new points before, between and beyond the runs of a curve, which are in
    no order.
    """
    rng = np.random.default_rng(2)
    t, seen = rng.uniform(2, 6, 14), np.repeat([1.0, 0.0], 7)
    residual, variance = rng.normal(0, 0.1, 14), rng.uniform(1e-5, 1e-3, 14)
    names = [name for component in own for name in COMPONENTS[component].params]
    params = {name: np.full((2, 1), PARAMS[name]) for name in names}
    twice = [np.broadcast_to(x, (2, 14)) for x in (residual, variance)]
    mean, variance_of = Curve(own, None, t, params, *twice, seen).moments()
    K = covariance(own, t, t.min())
    runs, new = seen == 1, seen == 0
    gain = np.linalg.solve(K[np.ix_(runs, runs)] + np.diag(variance[runs]), K[runs]).T
    dense = K - gain @ K[runs]
    np.testing.assert_allclose(mean[1], gain @ residual[runs], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(variance_of[1][new], np.diag(dense)[new], rtol=1e-6, atol=1e-9)


def test_the_semivariance_is_half_the_mean_squared_difference_of_neighbours() -> None:
    """The first coordinate against the dense covariance, and the volume of the transform against
    the determinant of its Jacobian.
    """
    at = pt.vector("at", shape=(3,))
    transform, step = Semivariance(0.2), 0.2
    forward = pytensor.function([at], transform.forward(at), mode=once())
    backward = pytensor.function(
        [at],
        [
            transform.backward(at),
            transform.log_jac_det(at),
            pt.stack([pytensor.grad(transform.backward(at)[i], at) for i in range(3)]),
        ],
        mode=once(),
    )
    for noise, shared, length in [
        (0.02, 0.01, 0.15),
        (1e-4, 0.3, 5.0),
        (0.1, 1e-5, 1e-3),
        (0.05, 0.05, 0.2),
    ]:
        value = np.array([noise, shared, length])
        K = shared**2 * np.exp(
            -abs(np.subtract.outer([0.0, step], [0.0, step])) / length
        ) + noise**2 * np.eye(2)
        found = forward(value)
        np.testing.assert_allclose(
            found[0], np.log(np.array([1, -1]) @ K @ np.array([1, -1]) / 2) / 2, rtol=1e-9
        )
        again, volume, jacobian = backward(found)
        np.testing.assert_allclose(again, value, rtol=1e-9)
        np.testing.assert_allclose(volume, np.linalg.slogdet(jacobian)[1], rtol=1e-9)


@pytest.mark.parametrize("law", ["power", "overoptimization_bon"])
def test_noise_and_errors_of_neighbours_keep_their_priors(law: str) -> None:
    """Sampled together, they have the priors of the spec: log density and draws; absolute ones and
    those in units of the typical response.
    """
    losses = {"data_size": np.geomspace(1e5, 1e8, 12), "loss": np.linspace(2.0, 1.0, 12)}
    scores = {"n": 2.0 ** np.arange(12), "gold_score": np.linspace(0.0, 3.0, 12)}
    runs = bl.read_runs(pd.DataFrame(losses if law == "power" else scores), law)
    priors = (
        {
            "sigma": bl.Prior("HalfNormal", sigma=0.3),
            "local_length": bl.Prior("Gamma", mu=0.2, sigma=0.1),
        }
        if law == "power"
        else {}
    )
    design = resolve(
        bl.ModelSpec(
            law, discrepancy={"kind": "curve", "own": ["local"], "shared": False}, priors=priors
        ),
        runs,
    )
    model = build(design, runs, parts=True)
    assert model["semivariance_raw"] in model.free_RVs
    point = model.initial_point()
    values = dict(zip(TOGETHER, model["semivariance_raw"].eval(mode=once()), strict=True))
    spec = design.spec
    of = {name: spec.priors[name].in_scipy(runs.typical_response) for name in TOGETHER}
    value = model.rvs_to_values[model["semivariance_raw"]]
    point[value.name] = (
        Semivariance(float(np.median(np.diff(spec.axis.forward(runs.inputs[spec.along])))))
        .forward(pt.as_tensor(list(values.values())))
        .eval(mode=once())
    )
    np.testing.assert_allclose(
        model.compile_logp(vars=[model["semivariance_raw"]], jacobian=False, mode=once())(point),
        sum(of[name].logpdf(values[name]) for name in TOGETHER),
        rtol=1e-9,
    )
    drawn = draw_prior(model, TOGETHER, 4000, 1)
    for name in TOGETHER:
        assert stats.kstest(drawn[name].values.ravel(), of[name].cdf).pvalue > 1e-3, name


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"priors": {"local_sigma": bl.Prior.of(0.01)}}, "pinned"),
        ({"priors": {"sigma": bl.Prior("Uniform", lower=0.0, upper=1.0)}}, "an upper end"),
        ({"effects": {"sigma": "0 + task"}}, "another in each group"),
        ({"discrepancy": {"kind": "curve", "own": ["matern"]}}, "no local component"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_what_is_sampled_one_by_one(spec: dict, why: str) -> None:
    table = pd.DataFrame(
        {
            "data_size": np.tile(np.geomspace(1e5, 1e8, 6), 2),
            "loss": np.linspace(2.0, 1.0, 12),
            "task": np.repeat(["a", "b"], 6),
        }
    )
    runs = bl.read_runs(table, "power", groups=["task"])
    asked = {"discrepancy": {"kind": "curve", "own": ["matern", "local"]}} | spec
    model = build(resolve(bl.ModelSpec("power", **asked), runs), runs)
    assert "semivariance_raw" not in model, why


@pytest.mark.parametrize("own", [("matern",), ("wiener",), ("matern", "local")], ids="+".join)
def test_paths_have_the_dense_conditional(own: tuple[str, ...]) -> None:
    """20,000 draws at points between, beyond and before what was seen: mean and covariance within
    4.5 Monte Carlo errors.
    """
    old, new = np.array([3.0, 3.4, 3.5, 4.1, 4.4]), np.array([3.2, 4.4001, 5.0, 6.0])
    y, noise = np.array([0.1, 0.05, 0.06, -0.02, -0.03]), 1e-4
    t = np.concatenate([old, new])
    order, step, first = sequence(t, np.full(len(t), ""))
    n = 20_000
    residual, variance = np.zeros((n, len(t))), np.full((n, len(t)), noise)
    residual[:, : len(old)] = y
    seen = np.append(np.ones(len(old)), np.zeros(len(new)))
    params = {name: np.full((n, 1), value) for name, value in PARAMS.items()}
    drawn = draw_paths(
        own,
        step,
        first,
        params,
        residual[:, order],
        variance[:, order],
        seen[order],
        np.random.default_rng(2),
    )
    paths = np.empty_like(drawn)
    paths[:, order] = drawn
    paths = paths[:, len(old) :]
    K = covariance(own, t, t.min())
    known = K[: len(old), : len(old)] + noise * np.eye(len(old))
    across = np.linalg.solve(known, K[: len(old), len(old) :]).T
    mean, spread = across @ y, K[len(old) :, len(old) :] - across @ K[: len(old), len(old) :]
    error = np.sqrt(np.diag(spread) / n)
    assert (abs(paths.mean(axis=0) - mean) < 4.5 * error).all()
    sd = np.sqrt(np.diag(spread))
    assert (abs(np.cov(paths.T) - spread) < 4.5 * np.outer(sd, sd) * np.sqrt(2 / n)).all()


def test_what_is_in_common_has_its_integral_as_covariance() -> None:
    for a, b in ((0.3, 0.9), (1.0, 2.5), (2.0, 2.0)):

        def bent(a: float, b: float) -> float:
            def integrand(u: float, v: float) -> float:
                return (a - u) * (b - v) * np.exp(-abs(u - v) / CURVATURE_MEMORY)

            return integrate.dblquad(integrand, 0, b, 0, a, epsabs=1e-9)[0]

        expected = a * b + bent(a, b) / bent(1.0, 1.0)
        np.testing.assert_allclose(
            smooth_covariance(np.array([a]), np.array([b]))[0, 0], expected, rtol=1e-4
        )
    # the slope goes through the start, the rest does not
    assert smooth_covariance(np.array([-0.5]), np.array([0.5]))[0, 0] == -0.25


def test_new_knots_leave_the_known_ones_as_they_are() -> None:
    at = knots(np.array([2.3, 4.1]))
    t = np.array([2.3, 3.05, 4.1, 5.0, 6.2])
    far = extended(at, t)
    assert len(far) > len(at)
    assert np.allclose(far[: len(at)], at)
    near = basis(t[:3], at)
    np.testing.assert_allclose(basis(t[:3], far)[:, : near.shape[1]], near, atol=1e-6)
    np.testing.assert_allclose(
        basis(t, far) @ basis(t, far).T,
        smooth_covariance(t - at[0], t - at[0]),
        rtol=1e-4,
        atol=1e-6,
    )


def test_long_curves_enter_as_weighted_averages() -> None:
    x = np.geomspace(1e3, 1e7, 4 * CURVE_POINTS)
    long = pd.DataFrame(
        {
            "task": "long",
            "data_size": x,
            "loss": 2 * x**-0.1 * np.exp(np.random.default_rng(1).normal(0, 0.01, len(x))),
        }
    )
    short = pd.DataFrame({"task": "short", "data_size": [1e3, 1e4, 1e5], "loss": [2.0, 1.5, 1.1]})
    runs = bl.read_runs(pd.concat([long, short], ignore_index=True), "power")
    averages, (told,) = binned(resolve(bl.ModelSpec("power"), runs), runs)
    assert "1 of 2 curves have more than 100 points (the longest 400)" in told
    assert told in averages.notes
    assert len(averages) == CURVE_POINTS + 3
    assert averages.averaged.sum() == 403
    rows = averages.table[averages.table["task"] == "long"]
    np.testing.assert_allclose(
        (np.log(rows["loss"]) * rows["averaged"]).sum(), np.log(long["loss"]).sum()
    )
    assert list(averages.table.loc[averages.table["task"] == "short", "loss"]) == [2.0, 1.5, 1.1]
    assert binned(resolve(bl.ModelSpec("power", discrepancy="none"), runs), runs) == (runs, [])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"discrepancy": "curves"}, "must be one of none, curve, grid"),
        ({"discrepancy": {"kind": "curve", "own": ["matren"]}}, "Did you mean 'matern'"),
        ({"discrepancy": {"kind": "curve", "owns": ["matern"]}}, "no option 'owns'"),
        ({"discrepancy": {"kind": "curve", "own": []}}, "must name one or more"),
        ({"discrepancy": {"kind": "curve", "along": "model_size"}}, "must be an input of power"),
        ({"noise": "laplace"}, "needs noise 'normal' or 'student_t'"),
        ({"discrepancy": "none", "curve_by": ("task",)}, "discrepancy is 'none'"),
    ],
)
def test_a_discrepancy_that_cannot_be_meant(options: dict, says: str) -> None:
    with pytest.raises(SpecError, match=says):
        bl.ModelSpec("power", **options)


def test_defaults_are_written_out_and_read_back() -> None:
    table = pd.DataFrame(
        [(m, x, x**-0.1) for m in "abc" for x in (1e3, 1e4, 1e5, 1e6)],
        columns=["model", "data_size", "loss"],
    )
    spec = resolve(bl.ModelSpec("power"), bl.read_runs(table, "power")).spec
    assert spec.curve_by == ("model",)
    assert spec.discrepancy.shared is False
    assert spec.discrepancy.along == "data_size"
    assert spec.effects["A"] == "1 + (1 | model)"
    assert spec.effects["alpha"] == spec.effects["E"] == "1"
    assert spec.effects["sigma"] == spec.effects["delta_sigma"] == "1 + (1 | model)"
    assert bl.ModelSpec.from_json(spec.to_json()) == spec
    tuned = table.rename(columns={"data_size": "finetuning_data"})
    spec = resolve(
        bl.ModelSpec("finetuning_rectified"), bl.read_runs(tuned, "finetuning_rectified")
    ).spec
    assert spec.discrepancy.shared == ()
    assert spec.discrepancy.own == ("wiener",)
    assert "shared_sigma" in spec.priors
    assert bl.ModelSpec.from_json(spec.to_json()) == spec
    two = resolve(
        bl.ModelSpec("finetuning_rectified"),
        bl.read_runs(tuned[tuned["model"] != "c"], "finetuning_rectified"),
    ).spec
    assert two.discrepancy.shared is False
    assert two.effects["sigma"] == "1"


@pytest.fixture(scope="module")
def departing() -> tuple[pd.DataFrame, bl.Fit]:
    """Simulated curves with departures of their own from a power law, and a fit to their first
    part.
    """
    rng = np.random.default_rng(8)
    x = np.geomspace(1e4, 1e7, 25)
    _, step, first = sequence(np.log10(x), np.full(len(x), ""))
    own = draw_paths(
        ("matern",),
        step,
        first,
        {"delta_sigma": np.full((10, 1), 0.05), "delta_memory": np.full((10, 1), 1.0)},
        np.zeros((10, 25)),
        np.ones((10, 25)),
        np.zeros(25),
        rng,
    )
    loss = 3 * (x / 1e4) ** -0.15 * np.exp(own + rng.normal(0, 0.004, own.shape))
    table = pd.DataFrame(
        [(f"task{i}", a, b) for i in range(10) for a, b in zip(x, loss[i], strict=True)],
        columns=["task", "data_size", "loss"],
    )
    runs = bl.read_runs(table[table["data_size"] < 1e6], "power", groups=["task"])
    effort = {"draws": 800, "tune": 1000, "target_accept": 0.99}  # what the remedies would come to
    return table, bl.fit("power", runs, random_seed=1, progressbar=False, **effort)


def test_a_prediction_starts_from_the_curves_own_runs_and_widens(
    departing: tuple[pd.DataFrame, bl.Fit],
) -> None:
    table, fit = departing
    assert fit.convergence.passed, str(fit.convergence)
    last = table[(table["task"] == "task0") & (table["data_size"] < 1e6)].iloc[-1]
    near, far, farther = (
        fit.bands({"data_size": last["data_size"] * factor, "task": "task0"}).iloc[0]
        for factor in (1.05, 3, 30)
    )
    law = fit.bands({"data_size": last["data_size"], "task": "task0"}, "mean").iloc[0]
    assert abs(np.log(near["median"] / last["loss"])) < 0.015
    widths = [np.log(b["upper_90"] / b["lower_90"]) for b in (near, far, farther)]
    assert widths[0] < widths[1] < widths[2]
    assert widths[2] > 3 * widths[0]
    assert widths[0] < np.log(law["upper_90"] / law["lower_90"]) + 4 * 0.01
    hidden = table[table["data_size"] > 1e6]
    bands = fit.bands(hidden[["task", "data_size"]])
    inside = (hidden["loss"].to_numpy() > bands["lower_90"]) & (
        hidden["loss"].to_numpy() < bands["upper_90"]
    )
    # 60 points of 6 curves, each a single draw of its path: a floor against gross error
    assert inside.mean() > 0.6


def test_a_curve_never_seen_draws_its_departure(departing: tuple[pd.DataFrame, bl.Fit]) -> None:
    _, fit = departing
    new = fit.bands({"data_size": 3e5, "task": "another"}, new_groups=True).iloc[0]
    old = fit.bands({"data_size": 3e5, "task": "task0"}).iloc[0]
    assert new["unseen"] == "task"
    assert np.log(new["upper_90"] / new["lower_90"]) > 3 * np.log(old["upper_90"] / old["lower_90"])


def test_a_saved_fit_predicts_the_same(
    departing: tuple[pd.DataFrame, bl.Fit], tmp_path: Path
) -> None:
    _, fit = departing
    points = {"data_size": [3e5, 3e7], "task": ["task0", "task3"]}
    np.testing.assert_array_equal(
        bl.load(fit.save(tmp_path / "fit.nc")).predict(points), fit.predict(points)
    )


# few draws: what is looked at is the message
@pytest.mark.filterwarnings("ignore::bayeslaw.errors.ConvergenceWarning")
def test_long_curves_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    unsampled(monkeypatch)
    x = np.geomspace(1e3, 1e7, CURVE_POINTS + 50)
    runs = bl.read_runs(pd.DataFrame({"data_size": x, "loss": x**-0.1}), "power")
    with pytest.raises(SpecError, match="numpyro cannot sample"):
        bl.fit("power", runs, sampler="numpyro")
    with pytest.warns(RunsWarning, match="1 of 1 curves have more than 100 points"):
        fit = bl.fit(
            "power", runs, draws=20, tune=50, chains=2, attempts=1, progressbar=False, random_seed=1
        )
    assert len(fit.runs) <= CURVE_POINTS
    assert any("averages" in text for text in fit.warnings)


def drawn_from_the_prior(own: tuple[str, ...], shared: tuple[str, ...] | bool = False) -> bl.Fit:
    """A fit whose draws are those of the prior, to three simulated curves."""
    x = np.geomspace(2e3, 2e6, 9)
    table = pd.DataFrame(
        [(f"task{i}", a, 3 * (a / 1e4) ** -0.15) for i in range(3) for a in x[i:]],
        columns=["task", "data_size", "loss"],
    )
    runs = bl.read_runs(table, "power")
    spec = bl.ModelSpec(
        "power",
        effects=dict.fromkeys(("A", "alpha", "E"), "1"),  # only the processes tell curves apart
        discrepancy={"kind": "curve", "own": own, "shared": shared},
    )
    return from_the_prior(spec, runs, 4000)


@pytest.mark.parametrize("own", [("wiener",), ("smooth",), ("matern",)], ids="+".join)
@pytest.mark.parametrize("task", ["another", None, "task2"])
def test_rows_asked_beside_a_point_do_not_change_its_distribution(
    own: tuple[str, ...], task: str | None
) -> None:
    """Of a curve that no run had, and of one before its first run: the sd of the departure at one
    place, alone and with others.
    """
    fit = drawn_from_the_prior(own)

    def departure(x: list[float], which: int) -> np.ndarray:
        drawn = fit.predict({"data_size": x, "task": task}, "latent", new_groups=True)
        without = fit.predict({"data_size": x, "task": task or "another"}, "mean", new_groups=True)
        return (np.log(drawn) - np.log(without)).values[0, :, which]

    for place in (5e3, 1.64e6, 5e7):
        alone = departure([place], 0)
        beside = departure([200.0, place, 9e8, 1e4], 1)
        interquartile = [np.subtract(*np.quantile(x, [0.75, 0.25])) for x in (alone, beside)]
        # quartiles of 4,000 draws: 5 % is some three errors of their distance
        assert interquartile[0] == pytest.approx(interquartile[1], rel=0.08)
    assert departure([5e3], 0).std() > 0


def test_points_of_different_groups_are_on_different_new_curves() -> None:
    """A missing task is one new curve, and a task of another name is another."""
    fit = drawn_from_the_prior(("matern",))
    points = pd.DataFrame({"data_size": [1e5, 1e5, 1e5], "task": [None, None, "another"]})
    latent, mean = (fit.predict(points, kind, new_groups=True) for kind in ("latent", "mean"))
    departure = np.log(latent / mean).values[0]
    np.testing.assert_array_equal(departure[:, 0], departure[:, 1])
    assert abs(np.corrcoef(abs(departure[:, 0]) ** 0.5, departure[:, 2])[0, 1]) < 0.06
    assert abs(np.corrcoef(np.sign(departure[:, 0]), np.sign(departure[:, 2]))[0, 1]) < 0.06


# Student-t noise along curves
# ----------------------------------------------------------------------------------------------


def test_student_t_noise_on_top_of_a_path_has_their_convolution_as_density() -> None:
    """By numerical integration, to fifteen standard deviations; without a path it is SciPy's."""
    at = np.array([0.0, 1.0, 4.0, 15.0])
    for nu, sigma, sd in ((2.0, 1.0, 0.5), (4.0, 1.0, 1.0), (20.0, 1.0, 0.1), (4.0, 1.0, 1e-6)):
        params = {"nu": np.full((1, 1), nu), "sigma": np.full((1, 1), sigma)}
        found = log_density("student_t", params, at[None], sd**2)[0]
        dense = [
            integrate.quad(
                lambda z, y=y, nu=nu, sd=sd: stats.norm.pdf(z) * stats.t.pdf(y - sd * z, nu), -9, 9
            )[0]
            for y in at
        ]
        np.testing.assert_allclose(found, np.log(dense), atol=1e-4)
    exact = log_density("student_t", params, at[None])[0]
    np.testing.assert_allclose(exact, stats.t.logpdf(at, 4.0))


def with_weights(draws: int = 3) -> bl.Fit:
    """Draws of a power law's prior with Student-t noise along two simulated curves."""
    rng = np.random.default_rng(3)
    table = pd.DataFrame(
        {"task": np.repeat(["a", "b"], 6), "data_size": 10 ** rng.uniform(6, 8, 12)}
    )
    table["loss"] = 2.0 * (table["data_size"] / 1e7) ** -0.1 * np.exp(rng.normal(0, 0.03, 12))
    spec = bl.ModelSpec(
        "power",
        noise="student_t",
        discrepancy={"kind": "curve", "own": OWN_COMPONENTS, "shared": False},
        effects=dict.fromkeys(("A", "alpha", "E", "sigma", "delta_sigma"), "1"),
        priors={name: PARAMS[name] for x in OWN_COMPONENTS for name in COMPONENTS[x].params}
        | {"nu": 4.0},
    )
    runs = bl.read_runs(table, "power", groups=["task"])
    return from_the_prior(spec, runs, draws)


def test_given_the_weights_curves_are_normal() -> None:
    """The joint density by dense algebra, and that of a run given the others by numerical
    integration of its noise.
    """
    fit = with_weights()
    joint, each = log_likelihood(fit)
    y, t = np.log(fit.runs.y), np.log10(fit.runs.inputs["data_size"])
    mu = Parameters.at(fit, fit.runs.table, "mean").mu_on_link(fit.runs.table)
    task = fit.runs.table["task"].to_numpy()
    for s in range(3):
        sigma = float(fit.posterior["sigma"][0, s])
        weight = fit.posterior[WEIGHT].values[0, s]
        dense = 0.0
        for name in "ab":
            rows = np.flatnonzero(task == name)
            K = covariance(OWN_COMPONENTS, t[rows], t[rows].min())
            C, r = K + np.diag(sigma**2 / weight[rows]), y[rows] - mu[s, rows]
            dense += stats.multivariate_normal(cov=C).logpdf(r)
            others = np.arange(1, len(rows))
            gain = np.linalg.solve(C[np.ix_(others, others)], C[others, 0])
            mean, sd = gain @ r[others], np.sqrt(K[0, 0] - gain @ C[others, 0])
            density, _ = integrate.quad(
                lambda z, m=mean, sd=sd, r=r, sigma=sigma: (
                    stats.norm.pdf(z) * stats.t.pdf(r[0] - m - sd * z, 4.0, 0, sigma)
                ),
                -9,
                9,
            )
            np.testing.assert_allclose(each[s, rows[0]], np.log(density), atol=1e-4)
        np.testing.assert_allclose(joint[s], dense, rtol=1e-8)


def test_the_model_weighs_each_run_by_its_gamma() -> None:
    """The model's log density as a function of the weights, by dense algebra and SciPy's gamma."""
    fit = with_weights()
    model, standardised = build(fit.design, fit.runs), Standardised()
    logp = model.compile_logp(mode=once(), jacobian=False)
    point, joint = model.initial_point(), log_likelihood(fit)[0]
    found = []
    for s in range(2):
        draw = {str(name): x.values[0, s] for name, x in fit.posterior.items()}
        free = [rv.name for rv in model.free_RVs]
        at = {f"{x}_log__": np.log(draw[x]) for x in free}
        at["E_at_centre_logodds__"] = special.logit(draw["E_at_centre"])
        z = standardised.forward(draw[WEIGHT], None, None, pt.as_tensor(2.0), None)
        at[f"{WEIGHT}_standardised__"] = z.eval(mode=once())
        at = {name: np.asarray(at[name]) for name in point}
        priors = sum(
            fit.design.priors[x].in_scipy(fit.runs.typical_response).logpdf(draw[x])
            for x in free
            if x != WEIGHT
        )
        weights = stats.gamma(2.0, scale=0.5).logpdf(draw[WEIGHT]).sum()
        found.append(float(logp(at)) - priors - weights)
    np.testing.assert_allclose(found, joint[:2], rtol=1e-8)


def test_standardised_weights_have_their_inverse_and_its_slope() -> None:
    """For degrees of freedom from 1 to 100 they have about the mean 0 and the standard deviation 1
    under the gamma, by SciPy.
    """
    transform = Standardised()
    for a in (0.5, 2.0, 10.0, 50.0):
        inputs = (None, None, pt.as_tensor(a), None)
        w = stats.gamma(a, scale=1 / a).ppf((np.arange(4000) + 0.5) / 4000)
        z = transform.forward(pt.as_tensor(w), *inputs)
        back = transform.backward(z, *inputs)
        ahead, behind = (transform.backward(z + step, *inputs) for step in (1e-5, -1e-5))
        slope = transform.log_jac_det(z, *inputs)
        z, back, slope, moved = (x.eval(mode=once()) for x in (z, back, slope, ahead - behind))
        np.testing.assert_allclose(back, w)
        np.testing.assert_allclose(np.exp(slope), moved / 2e-5, rtol=1e-5)
        assert abs(z.mean()) < 0.1 and abs(z.std() - 1) < 0.1


@pytest.mark.filterwarnings("ignore::bayeslaw.errors.BayeslawWarning")
def test_weights_of_a_part_are_those_of_its_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    unsampled(monkeypatch)
    fit = with_weights()
    parts = [fit.runs.inputs["data_size"] < limit for limit in (2e7, 5e7)]
    spec = fit.spec.replaced(priors={"nu": 4.0})
    for part, used in zip(
        fit_each(spec, fit.runs, parts, draws=50, chains=2, random_seed=1), parts, strict=True
    ):
        assert part.posterior[WEIGHT].sizes["row"] == used.sum() == len(part.runs)
        assert np.isfinite(part.predict({"data_size": 1e9, "task": "a"})).all()
        assert WEIGHT not in " ".join(map(str, part.summary().index))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::bayeslaw.errors.ConvergenceWarning")  # few draws
def test_a_run_that_is_off_by_ten_deviations_is_weighed_off() -> None:
    """Of 24 simulated points, the twentieth."""
    rng = np.random.default_rng(4)
    x = np.geomspace(1e6, 1e9, 24)
    table = pd.DataFrame({"data_size": x})
    table["loss"] = ((x / 3e7) ** -0.15 + 0.3) * np.exp(rng.normal(0, 0.01, 24))
    table.loc[19, "loss"] *= np.exp(0.1)
    spec = bl.ModelSpec("power", noise="student_t")
    effort = {"draws": 300, "tune": 500, "chains": 2, "attempts": 1}
    fit = bl.fit(spec, bl.read_runs(table, "power"), random_seed=1, progressbar=False, **effort)
    weights = fit.posterior[WEIGHT].mean(("chain", "draw"))
    assert int(np.argmin(weights.values)) == 19 and weights[19] < 0.2
    band = fit.bands({"data_size": 1e10}, "latent").iloc[0]
    truth = (1e10 / 3e7) ** -0.15 + 0.3
    assert abs(np.log(band["median"] / truth)) < 0.04
    assert band["lower_90"] < truth < band["upper_90"]


def test_many_points_are_predicted_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that runs share is then drawn where it is asked for, as parts of one path; and the
    bands of a curve of many points are those of its parts.
    """
    fit = drawn_from_the_prior(("matern",), shared=())
    points = {"data_size": np.geomspace(1e3, 1e8, 8), "task": ["task0", None]}
    predicted, bands = fit.predict(points, "latent"), fit.bands(points, "latent", (0.5,))
    monkeypatch.setattr("bayeslaw.defaults.SHARED_VALUES", 0)
    np.testing.assert_allclose(fit.predict(points, "latent"), predicted, rtol=1e-9)
    monkeypatch.setattr("bayeslaw.defaults.POINTS_PER_CURVE", 5)
    monkeypatch.setattr("bayeslaw.curves.paths.POINTS_OF_BLOCK", 7)
    in_parts = fit.bands(points, "latent", (0.5,))
    sd = (bands["upper_50"] - bands["lower_50"]) / 1.35
    error = sd * np.sqrt(2 * np.pi / 2 / fit.samples)  # of the difference of two medians
    assert ((in_parts["median"] - bands["median"]).abs() < 4 * error + 1e-12).all()
    assert not in_parts["median"].equals(bands["median"])
