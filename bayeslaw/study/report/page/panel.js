"use strict";
/* The verdict at another target and other costs, from the draws in this page. A test checks that it is the verdict of bayeslaw.decide. */
(() => {
  const data = JSON.parse(document.getElementById("panel-data").textContent);
  const doubles = (text) => new Float64Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
  const draws = doubles(data.draws), weights = data.weights.map(doubles);
  const n = data.samples, k = data.labels.length;

  const first = (values, better) => values.reduce((best, x, j) => (better(x, values[best]) ? j : best), 0);

  function judge(target, costs, value) {
    const sums = () => new Array(k).fill(0);
    const met = sums(), best = sums(), regret = sums(), total = sums();
    let perfect = 0;
    const utility = new Array(k);
    for (let i = 0; i < n; i++) {
      let winner = 0;
      for (let j = 0; j < k; j++) {
        const y = draws[i * k + j];
        const meets = data.lowerIsBetter ? y <= target : y >= target;
        if (meets) met[j] += 1;
        utility[j] = value === null ? (data.lowerIsBetter ? -y : y) : (meets ? value : 0) - costs[j];
        total[j] += utility[j];
        if (utility[j] > utility[winner]) winner = j;
      }
      best[winner] += 1;
      perfect += Math.max(utility[winner], 0);
      for (let j = 0; j < k; j++) regret[j] += utility[winner] - utility[j];
    }
    const mean = (x) => x / n;
    const pTarget = met.map(mean), expected = total.map(mean);
    let chosen;
    if (value === null) {
      const enough = [...pTarget.keys()].filter((j) => pTarget[j] >= data.goAt);
      chosen = enough.length
        ? enough.reduce((a, b) => (costs[b] < costs[a] || (costs[b] === costs[a] && pTarget[b] > pTarget[a]) ? b : a))
        : first(pTarget, (x, y) => x > y);
    } else {
      chosen = first(expected, (x, y) => x > y);
    }
    const paid = value === null || expected[chosen] > 0;
    const meets = (i) => (data.lowerIsBetter ? draws[i * k + chosen] <= target : draws[i * k + chosen] >= target);
    const byPrior = weights.map((w) => w.reduce((sum, x, i) => (meets(i) ? sum + x : sum), 0));
    const doubts = [...data.doubts, ...data.optionDoubts[chosen]];
    if (byPrior.some((p) => Math.abs(p - pTarget[chosen]) > data.priorMovesMax)) {
      doubts.push(`The prior decides: if every prior were weaker or stronger, the probability would be ${byPrior.map(percent).join(" or ")}.`);
    }
    let verdict = "inconclusive";
    if (!doubts.length) {
      if (pTarget[chosen] >= data.goAt && paid) verdict = "go";
      else if (Math.max(...pTarget) <= data.noGoAt || !paid) verdict = "no-go";
    }
    return {
      verdict, doubts, byPrior, chosen, paid, pTarget, pBest: best.map(mean), expectedRegret: regret.map(mean),
      expectedValue: value === null ? null : expected, evpi: value === null ? null : mean(perfect) - Math.max(...expected, 0),
    };
  }

  /* bayeslaw.text.percent: whole percent, halves up, never 0 or 100. */
  const percent = (p) => {
    const whole = Math.floor(100 * p + 0.5);
    return whole < 1 ? "less than 1 %" : whole > 99 ? "more than 99 %" : `${whole} %`;
  };
  const number = (x) => (x === 0 || Math.abs(x) >= 1e9 || Math.abs(x) < 1e-4 ? x.toPrecision(3) : x.toLocaleString("en", { maximumSignificantDigits: 4 }));
  const field = (id) => document.getElementById(id);
  const form = field("panel-inputs"), out = field("panel-verdict"), rows = [...field("panel-rows").children];

  function say(text, verdict) {
    out.className = `panel-verdict ${verdict}`;
    out.replaceChildren();
    if (verdict) {
      const word = document.createElement("strong");
      word.textContent = verdict.toUpperCase();
      out.append(word, ": ");
    }
    out.append(text);
  }

  function update() {
    const target = field("target").valueAsNumber;
    const costs = [...form.querySelectorAll(".cost")].map((input) => input.valueAsNumber);
    const value = data.value === null ? null : field("value").valueAsNumber;
    if (![target, ...costs, value ?? 0].every(Number.isFinite) || costs.some((x) => x < 0)) {
      say("Fill in a number for the target, and a number of 0 or more for every cost.", "");
      return;
    }
    const found = judge(target, costs, value);
    rows.forEach((row, j) => {
      row.querySelector(".p-target").textContent = percent(found.pTarget[j]);
      row.querySelector(".p-best").textContent = percent(found.pBest[j]);
      if (value !== null) row.querySelector(".expected").textContent = number(found.expectedValue[j]);
    });
    const p = percent(found.pTarget[found.chosen]);
    let text = `${data.labels[found.chosen]} meets a ${data.response} of ${number(target)} with probability ${p}.`;
    if (!found.paid) text += " On average it costs more than it is worth.";
    if (value !== null) text += ` Knowing the outcome beforehand would be worth ${number(found.evpi)}${data.unit ? ` ${data.unit}` : ""}.`;
    if (found.doubts.length) text += ` ${found.doubts[0]}`;
    say(text, found.verdict);
  }

  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(update));
  field("target-range").addEventListener("input", (event) => { field("target").value = event.target.value; });
  field("target").addEventListener("input", (event) => { field("target-range").value = event.target.value; });
  form.addEventListener("input", update);
  document.getElementById("panel").hidden = false;
  window.bayeslaw = { judge, data, percent };
  update();
})();
