"""Every number that a reader may dispute, with its source."""

from __future__ import annotations

#: Probabilities of the equal-tailed bands in tables and figures.
PROBS = (0.5, 0.9)

#: Largest acceptable rank-normalised split R-hat, and smallest bulk and tail effective sample size.
#: Vehtari et al. 2021 (arXiv 1903.08008), section 4: R-hat < 1.01, ESS > 400 over four chains.
RHAT_MAX = 1.01
ESS_MIN = 400
#: Any divergence means a region that the chains could not enter (Betancourt 2017, arXiv 1701.02434,
#: section 6.2).
DIVERGENCES_MAX = 0

#: Draws and tuning steps of each chain, and the number of chains.
DRAWS = 1000
TUNE = 1000
CHAINS = 4
#: Above nutpie's .8. Measured on 30 models in 8 families, 4,000 draws: .9 left one divergence in
#: two fits of three, .95 none in three, at 5 % more steps.
TARGET_ACCEPT = 0.95
#: With the paths of curves integrated out, the posterior is smooth. Measured on 36 learning curves:
#: no divergence at .8, .9 or .95; .8 gives 160 effective draws in 16 s, .95 gives 75 in 34 s.
TARGET_ACCEPT_CURVES = 0.8
#: The remedy after divergences. Measured on 6 curves of 16 points, 3,200 draws, three seeds: .8
#: leaves 13, 12 and 13, .95 leaves 3, none and 16, .99 none, 2 and none.
TARGET_ACCEPT_CAREFUL = 0.99
#: Unconstrained dimensions up to which nutpie adapts a low-rank mass matrix. Measured: on 7
#: dimensions (Chinchilla) it takes a fifth of the time of a diagonal one; on 167 (30 models in 8
#: families) it takes 40 s for 1.6 times the effective draws that a diagonal one gives in 13 s, most
#: of it in eigendecompositions.
LOW_RANK_DIMENSIONS = 100
#: Attempts before a fit is reported as not converged.
ATTEMPTS = 3

#: Tuning steps, draws and chains of the pilot run that sets the centring of group effects.
PILOT_TUNE = 400
PILOT_DRAWS = 200
PILOT_CHAINS = 2
#: Bounds of the centring in the pilot. At 0 the value that a group inherits cannot be computed from
#: its draws; at 1 the sampler may get stuck in a funnel.
PILOT_CENTRING = (0.1, 0.95)

#: Posterior over prior standard deviation above which a parameter is called not identified: the
#: runs narrow it by less than a tenth.
PRIOR_SHARE_MAX = 0.9
#: |correlation| of two log inputs above which their exponents cannot be told apart. It is 1 with a
#: fixed number of tokens per parameter.
COLLINEAR_ABOVE = 0.98

#: Points predicted at a time. An array of 4,000 draws x 256 points has 8 MB, so temporary arrays
#: stay in the cache.
POINTS_PER_BLOCK = 256
#: Points of one curve whose bands are computed together: a path of 4,000 draws takes 32 MB.
POINTS_PER_CURVE = 1000
#: Values of a process that runs share that are kept at a time, over draws and places: 256 MB.
SHARED_VALUES = 2**25

#: Probability that the peak is passed above which to stop, and below which to go on: odds of four
#: to one.
STOP_ABOVE = 0.8
GO_ON_BELOW = 0.2

#: P(target met) from which the verdict is go, and up to which it is no-go: odds of four to one.
GO_AT = 0.8
NO_GO_AT = 0.2
#: Decades beyond the runs, in any input or in all together, from which nothing is decided.
#: Forecasts were tested on public runs up to one to one and a half decades (benchmarks/README.md),
#: and not further.
FAR = 1.5
#: The bands of a backtest that are judged, and the probability of a coverage as low as theirs, if
#: the model is right, below which nothing is decided.
GATE_PROB = 0.9
COVERAGE_ALPHA = 0.05
#: Coverage of 90 % bands below which nothing is decided, for backtests of the first version.
COVERAGE_MIN = 0.8

#: Share of the least loss that a near-optimal choice of hyper-parameters gives up at most:
#: DeepSeek-AI 2024 (arXiv 2401.02954), section 3.1.
NEAR_OPTIMAL = 0.0025

#: Components of each curve's own discrepancy, unless the law has others. On 36 learning curves
#: (benchmarks/README.md) a process that returns to the law was better than one that keeps the last
#: slope, RMSLE .0132 against .015; on finetuning it was worse.
OWN_COMPONENTS = ("matern", "local")
#: Knots of a process that runs share.
SHARED_KNOTS = 8
#: Decades over which a process that runs share keeps its curvature; then it continues straight.
#: Measured on finetuning, the six splits of benchmarks/README.md: with no memory, bands are too
#: narrow far from the runs, because a large curvature would need a jitter that the runs do not
#: show. With a memory of two decades, forecasts overshoot where a curve is S-shaped (WMT19 at
#: r = 32: RMS .117, against .096 for a half and .105 for one).
CURVATURE_MEMORY = 0.5
#: Points of a curve that are used one by one; a longer curve is averaged in this many bins.
CURVE_POINTS = 100

#: Share of the runs outside the prior predictive's central 99 % band above which the prior is said
#: to exclude them: five times the share that a correct prior leaves outside.
PRIOR_OUTSIDE_MAX = 0.05
#: Distance by which a posterior moves, per doubling of the prior's power, above which it is called
#: sensitive to the prior: Kallioinen et al. 2023 (arXiv 2107.14054). Two normals whose means are a
#: quarter of a standard deviation apart have this distance.
SENSITIVE_ABOVE = 0.05
#: k-hat above which the draws cannot show what the posterior would be without a run: Vehtari,
#: Gelman, Gabry 2017 (arXiv 1507.04544).
KHAT_MAX = 0.7
#: Draws below which importance weights are not smoothed: a fifth of them is the tail (arXiv
#: 1507.02646), which needs 20 to be fitted.
SMOOTHED_FROM = 100
#: Family-wise probability of calling a group of runs ill-fitted although the model is right.
GROUPS_ALPHA = 0.05
#: Probability of calling one run of a table too far from its curve although the model is right.
FARTHEST_ALPHA = 0.01
#: Posterior standard deviations by which a parameter of the law may move when one run is left out.
#: Beyond that it leaves its own 95 % interval, and that run decides. Measured: at most .44 on the
#: 240 Chinchilla runs, and .83 on 30 finetuned models, where k-hat reaches 1.4. On 36 random parts
#: of 8 to 40 Chinchilla runs, k-hat is above .7 in 35 and cannot judge; the move is at most 1.9,
#: except in one part (3.7), where one run alone determines the effect of data.
MOVED_MAX = 2.0
#: Powers of a weaker and a stronger prior under which P(target met) is computed again: those of
#: Kallioinen et al. 2023 (arXiv 2107.14054).
PRIOR_POWERS = (0.8, 1.25)
#: Change of P(target met) under such a prior above which the prior, and not the runs, decides.
PRIOR_MOVES_MAX = 0.1

#: How likely candidate runs must be to change a verdict that stands, for it to be worth waiting for
#: them where no value says what they are worth: a choice, as surprising as a p-value of this size.
VERDICT_CHANGES_MIN = 0.05

#: No number that is given to the package is larger, and no positive one below its inverse: sums and
#: products of a few are then still numbers.
LARGEST = 1e100
