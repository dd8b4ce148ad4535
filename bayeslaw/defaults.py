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

#: Sampling effort of one fit.
DRAWS = 1000
TUNE = 1000
CHAINS = 4
#: Above nutpie's .8. Measured on 30 models in 8 families, 4,000 draws: .9 left one divergence in
#: two fits of three, .95 none in three, at 5 % more steps.
TARGET_ACCEPT = 0.95
#: Where the paths of curves are integrated out, what is left to sample is smooth. Measured on 36
#: learning curves: no divergence at .8, .9 or .95, and .8 gives 160 effective draws in 16 s where
#: .95 gives 75 in 34 s.
TARGET_ACCEPT_CURVES = 0.8
#: The remedy after divergences. Measured on 6 curves of 16 points, 3,200 draws, three seeds: .8
#: leaves 13, 12 and 13, .95 leaves 3, none and 16, .99 none, 2 and none.
TARGET_ACCEPT_CAREFUL = 0.99
#: Unconstrained dimensions up to which nutpie adapts a low-rank mass matrix. Measured: on 7
#: dimensions (Chinchilla) it takes a fifth of the time of a diagonal one; on 167 (30 models in 8
#: families) it takes 40 s for 1.6 times the effective draws that a diagonal one gives in 13 s, most
#: of it in eigendecompositions.
LOW_RANK_DIMENSIONS = 100
#: Tries of a fit before it is reported as not converged.
ATTEMPTS = 3

#: Effort of the pilot run that sets the parametrisation of group effects.
PILOT_TUNE = 400
PILOT_DRAWS = 200
PILOT_CHAINS = 2
#: Bounds of the centring in the pilot: at 0 its draws could not tell what a group inherits, at 1 a
#: funnel would stop it.
PILOT_CENTRING = (0.1, 0.95)

#: A parameter that the table narrows by less than a tenth of its prior's width is called not
#: identified.
PRIOR_SHARE_MAX = 0.9
#: |correlation| of two log inputs above which their exponents cannot be told apart (fixed tokens
#: per parameter has 1).
COLLINEAR_ABOVE = 0.98

#: Points predicted at a time: 4,000 draws x 256 points is 8 MB an array, so the temporaries stay in
#: cache and memory flat.
POINTS_PER_BLOCK = 256

#: Probability that the peak is passed from which on to stop, and below which to go on: four to one.
STOP_ABOVE = 0.8
GO_ON_BELOW = 0.2

#: P(target met) from which on the verdict is go, and up to which no-go: DESIGN section 7, four to
#: one.
GO_AT = 0.8
NO_GO_AT = 0.2
#: Decades beyond the runs, in any input, from which on nothing is decided: public runs were
#: foretold over one to one and a half (benchmarks/README.md), and nobody has looked further.
FAR = 1.5
#: Coverage of 90 % bands in a backtest below which nothing is decided.
COVERAGE_MIN = 0.8

#: Share of the least loss that a near-optimal choice of hyper-parameters gives up at most:
#: DeepSeek-AI 2024 (arXiv 2401.02954), section 3.1.
NEAR_OPTIMAL = 0.0025

#: Components of each curve's own discrepancy, unless its law has others. On 36 learning curves
#: (benchmarks/README.md) a process that returns to the law beat one that keeps the last slope,
#: RMSLE .0132 against .015; finetuning is the other way round.
OWN_COMPONENTS = ("matern", "local")
#: Knots of a process that runs have in common.
SHARED_KNOTS = 8
#: Decades in which what runs have in common forgets its curvature, and goes on straight.
#: Finetuning, the six splits of benchmarks/README.md: a curvature that is forgotten at once leaves
#: bands too narrow far out (it cannot be large without a jitter that nobody sees), one that is kept
#: for two decades overshoots where a curve is an S (WMT19 at r = 32: RMS .117, against .096 at a
#: half and .105 at one).
CURVATURE_MEMORY = 0.5
#: Points of a curve that enter one by one; a longer curve enters as averages in this many
#: log-spaced bins.
CURVE_POINTS = 100

#: Share of the runs outside the prior predictive's central 99 % band from which on the prior is
#: held to exclude them: five times what a prior that is right leaves outside.
PRIOR_OUTSIDE_MAX = 0.05
#: Distance of a posterior, per doubling of the prior's power, above which it is called sensitive to
#: the prior: Kallioinen et al. 2023 (arXiv 2107.14054). It is that of a normal from one whose mean
#: lies a quarter of a standard deviation off.
SENSITIVE_ABOVE = 0.05
#: k-hat above which the draws do not say what they would be without a run: Vehtari, Gelman, Gabry
#: 2017 (arXiv 1507.04544).
KHAT_MAX = 0.7
#: Draws below which importance weights have no tail to smooth: a fifth of them is the tail (arXiv
#: 1507.02646), and 20 make a fit of it.
SMOOTHED_FROM = 100
#: Family-wise probability of calling any group of runs ill-fitted where the model is right.
GROUPS_ALPHA = 0.05
#: Posterior standard deviations by which leaving out one run may move a parameter of the law:
#: beyond its own 95 % interval, that run decides. Measured: .44 at most on the 240 Chinchilla runs,
#: .83 on 30 finetuned models, where k-hat reaches 1.4; of 36 random parts of 8 to 40 Chinchilla
#: runs, k-hat is above .7 in 35, so that it cannot judge, and the move is up to 1.9, but for one
#: part (3.7) whose largest run alone says what data are worth.
MOVED_MAX = 2.0
#: Powers of a weaker and a stronger prior, under which P(target met) is told again: Kallioinen et
#: al. 2023 (arXiv 2107.14054) use them.
PRIOR_POWERS = (0.8, 1.25)
#: By how much such a prior may move P(target met) before the prior, and not the runs, is held to
#: decide.
PRIOR_MOVES_MAX = 0.1
