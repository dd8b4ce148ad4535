"""A study file with faults: all of them at once, each with its line, whatever is in the file; and
what is accepted is not refused once it was sampled.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import SMALL, simulated_curves, written

from bayeslaw.errors import BayeslawError, StudyError
from bayeslaw.study.prepare import prepare
from bayeslaw.study.schema import Lines, read_draft, read_study

pytestmark = pytest.mark.filterwarnings("ignore::bayeslaw.errors.BayeslawWarning")


def faults(folder: Path, text: str, table: pd.DataFrame | None = None) -> dict[str, str]:
    """The faults of a study file, by key: their lines and texts."""
    path = folder / "study.toml"
    path.write_bytes(text.encode())
    (simulated_curves() if table is None else table).to_csv(folder / "simulated.csv", index=False)
    with pytest.raises(StudyError) as caught:
        prepare(path)
    found: dict[str, str] = {}
    for fault in caught.value.faults:
        told = f"{fault.row}: {fault.problem}"
        found[fault.column] = f"{found[fault.column]}\n{told}" if fault.column in found else told
    return found


def changed(*changes: tuple[str, str]) -> str:
    """The small study with some of its text replaced."""
    text = SMALL
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return text


def test_faults_of_keys_table_model_and_questions_come_together(tmp_path: Path) -> None:
    table = simulated_curves()
    table.loc[3, "loss"], table.loc[5, "data_size"] = -1, -2
    found = faults(
        tmp_path,
        changed(
            ("draws = 250", "drwas = 250"),
            ("[model.priors]", '[model.effects]\nA = "1 +"\nE = "1 + (1 | tsk)"\n[model.priors]'),
            ("LogNormal", "LogNormla"),
            ("chains = 4", "chains = 1"),
            ("data_size > 3e8", "data_sise > 3e8"),
            ("[2e9, 4e9]", "[-2e9, 4e9]"),
            ("loss = 0.75", "accuracy = 0.75"),
            ("task0 = 10", "taks0 = 10"),
            ("value = 100", 'value = "much"'),
            ("[1, 2, 1, 2]", "[1, 2]"),
            ("budget = 3", "budget = 3\n[allocate]\ncompute = []"),
        ),
        table,
    )
    assert list(found) == [
        "sampling.chains",
        "sampling.drwas",
        "decision.value",
        "allocate.compute",
        "model.effects.A",
        "model.priors.alpha_at_centre",
        "runs",
        "model.effects.E",
        "backtest.holdout",
        "predict.1.data_size",
        "decision.target",
        "decision.cost",
        "next_runs.cost",
        "allocate",
    ]
    assert found["runs"].count("it must be above 0") == 2
    assert all(text.startswith("line ") for text in found.values())


def test_faults_are_told_where_the_table_and_the_law_are_missing(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        changed(
            ('name = "power"', 'name = "powr"'),
            ("simulated.csv", "simlated.csv"),
            ("LogNormal", "LogNormla"),
            ('["line"]', '["lines"]'),
            ('unit = "USD"', "go_at = 0.1"),
        ),
    )
    assert list(found) == [
        "study.law",
        "model.priors.alpha_at_centre",
        "runs",
        "backtest",
        "decision",
    ]
    found = faults(
        tmp_path, changed(("simulated.csv", "simlated.csv"), ("[2e9, 4e9]", "[-2e9, 4e9]"))
    )
    assert list(found) == ["runs", "predict.1.data_size"]


def test_all_faults_of_the_sections_about_the_table_and_the_model(tmp_path: Path) -> None:
    table = simulated_curves().rename(columns={"loss": "final loss"})
    table.loc[5, "data_size"] = -2
    found = faults(
        tmp_path,
        changed(
            ('groups = ["task"]', 'groups = ["tsk"]\nscale = { los = 3 }\ncolumns = { loss = "l" }')
        ),
        table,
    )
    assert list(found) == ["runs", "runs.scale", "runs.groups"]
    found = faults(
        tmp_path,
        changed(
            (
                "[model.priors]",
                '[model.effects]\nA = "1 + (1 | a)"\nE = "1 + (1 | b)"\n[model.priors]\nx = 1',
            ),
            ("sigma = 0.5 }", 'sigma = 0.5, relative = "no" }'),
        ),
    )
    assert list(found) == [
        "model.priors.alpha_at_centre",
        "model.effects.A",
        "model.effects.E",
        "model.priors.x",
    ]


def test_a_fault_of_one_section_makes_none_of_another(tmp_path: Path) -> None:
    """What is asked is right: only the table, the model or a key is not."""
    table = simulated_curves()
    table["loss"] = -table["loss"]
    assert list(faults(tmp_path, SMALL, table)) == ["runs"]
    assert list(faults(tmp_path, SMALL, table.assign(data_size="many"))) == ["runs"]
    assert list(faults(tmp_path, SMALL, simulated_curves().drop(columns="loss"))) == ["runs"]
    assert list(faults(tmp_path, SMALL, simulated_curves().drop(columns="task"))) == ["runs.groups"]
    for old, new, key in (
        ('path = "simulated.csv"', 'path = "no.csv"', "runs"),
        ('groups = ["task"]', 'group = ["task"]', "runs.group"),
        ('groups = ["task"]', 'groups = ["tsk"]', "runs.groups"),
        ('groups = ["task"]', 'groups = ["task"]\nwhere = "loss <"', "runs.where"),
        ('discrepancy = "none"', 'discrepancy = "non"', "model"),
        ('discrepancy = "none"', "misfit = { computes = 0.1 }", "model.misfit"),
        ('discrepancy = "none"', 'discrepncy = "none"', "model.discrepncy"),
        (
            "[model.priors]",
            '[model.effects]\nalpha = "1 + (1 | tsk)"\n[model.priors]',
            "model.effects.alpha",
        ),
        ("alpha_at_centre = {", "alfa = {", "model.priors.alfa"),
        ("at = { data_size = 4e9 }", "att = { data_size = 4e9 }", "decision.att"),
        ("holdout =", "hold_out =", "backtest.hold_out"),
        ("candidates =", "candidats =", None),
    ):
        found = faults(tmp_path, changed((old, new)))
        assert list(found) == [key] if key else len(found) == 2, (new, found)


SEPARATORS = ("\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029")


def test_lines_are_those_of_an_editor() -> None:
    """TOML and editors end a line at a line feed only, whatever Python takes for an end."""
    allowed = [x for x in SEPARATORS if x >= "\x80"]
    for end in ("\n", "\r\n"):
        text = end.join(
            [
                "# " + "".join(allowed),
                f'name = "{"".join(allowed)}" # x',
                '"a = b" = """',
                "draws = 1",
                '[model]""" # """',
                "list = [",
                "  [ 1 ], # ]",
                '  { x = "]" },',
                "]",
                "draws = 2",
                "[ 'sec.tion' . \"\\u0061\" ]",
                "'k' . y = '''",
                "'''",
                "[[predict]]",
                "z = 1",
                "[[predict]]",
                "z = 1",
            ]
        )
        assert Lines.of(text).at == {
            ("name",): 2,
            ("a = b",): 3,
            ("list",): 6,
            ("draws",): 10,
            ("sec.tion", "a"): 11,
            ("sec.tion", "a", "k", "y"): 12,
            ("predict", 0): 14,
            ("predict", 0, "z"): 15,
            ("predict", 1): 16,
            ("predict", 1, "z"): 17,
        }


@pytest.mark.parametrize("character", [*SEPARATORS, "\r"])
def test_a_fault_behind_any_separator_has_its_line(character: str, tmp_path: Path) -> None:
    text = changed(("[runs]", f"# {character} x\n[runs]"), ("draws = 250", "drwas = 250"))
    (found,) = faults(tmp_path, text).values()
    line = 14 if character >= "\x80" else 5  # what TOML does not allow is a fault in itself
    assert found.startswith(f"line {line}: ")


@pytest.mark.parametrize(
    ("old", "new", "key", "says"),
    [
        ('name = "Small', 'name = "\\u0007Small', "study.name", "control characters"),
        ('unit = "USD"', 'unit = "U\\nSD"', "decision.unit", "on one line"),
        ("value = 100", "value = 1e101", "decision.value", "less than or equal to"),
        ("draws = 250", "draws = 0x" + "f" * 5000, "sampling.draws", "thousands of digits"),
        ("[runs]", "seed = 9223372036854775808\n[runs]", "study.seed", "less than"),
        ('unit = "USD"', "far = nan", "decision.far", "finite"),
        ("task0 = 10", "task0 = -10", "decision.cost.task0", "greater than or equal to 0"),
        ("task0 = 10", '7e9 = 1, "7000000000" = 10', "decision.cost", "one name in two spellings"),
        (
            "sigma = 0.5 }",
            "sigma = 1e308 }",
            "model.priors.alpha_at_centre.sigma",
            "less than or equal",
        ),
        (
            'cost = { task0 = 10, task1 = 20, "<b>bold</b>" = 30 }',
            'options = { task = [7e9, "7000000000"] }',
            "decision.options",
            "Two options are the same",
        ),
        ("[1, 2, 1, 2]", '"flop"', "next_runs.cost", "have no model_size"),
        ('task = ["task0", "<b>bold</b>"]', "task = []", "predict.1.task", "an empty list"),
        ("[2e9, 4e9]", f"{list(range(1, 1002))}", "predict.1", "combinations"),
        ('["line"]', '["line"]\nrolling = { data_size = 3 }', "backtest", "one of holdout"),
        (
            'holdout = "data_size > 3e8"',
            "rolling = { data_size = 999999 }",
            "backtest.rolling",
            "not so many",
        ),
        (
            'holdout = "data_size > 3e8"',
            'holdout = ["loss > 1", "loss > 1"]',
            "backtest.holdout",
            "twice",
        ),
        (
            "candidates = {",
            "candidates = [{ cost = 1, data_size = 1e9, task = 'a' }]\n#",
            "next_runs.cost",
            "leave one out",
        ),
    ],
)
def test_what_would_fail_later_is_told_at_once(
    old: str, new: str, key: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bayeslaw.study.prepare.MOST_POINTS", 1000)
    found = faults(tmp_path, changed((old, new)))
    assert list(found) == [key]
    assert says in found[key]
    assert len(found[key]) < 400


def test_a_split_that_hides_what_is_not_pooled(tmp_path: Path) -> None:
    """A group whose parameter is its own cannot be predicted from others."""
    text = changed(
        ("[model.priors]", '[model.effects]\nA = "0 + task"\n[model.priors]'),
        ("data_size > 3e8", "task == 'task0'"),
        (', "<b>bold</b>"]', "]"),
    )
    found = faults(tmp_path, text)
    assert list(found) == ["backtest.holdout"]
    assert "all runs of task task0 would be hidden" in found["backtest.holdout"]


SPLIT = """
[study]
name = "Split"
law = "chinchilla"
[runs]
dataset = "pretraining_simulated"
[decision]
target = { loss = 2.5 }
at = { model_size = 1e9, data_size = 1e11 }
[next_runs]
candidates = { model_size = [1e9], data_size = [1e10] }
cost = "flop"
[allocate]
compute = [1e22]
"""


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "compute = [1e22]",
            "compute = 1e22\nat = { model_size = 1 }",
            "which this call solves for",
        ),
        (
            "compute = [1e22]",
            'compute = 1e22\nat = { tsk = "a" }',
            "at has tsk, which is in neither",
        ),
        ("data_size = [1e10]", "data_size = [1e99]", ""),
        ("[1e9], data_size = [1e10]", "[1e200], data_size = [1e200]", "less than or equal to"),
        ("compute = [1e22]", "compute = [1e22, -1]", "greater than 0"),
    ],
)
def test_budgets_are_checked_before_anything_is_sampled(
    old: str, new: str, says: str, tmp_path: Path
) -> None:
    path = tmp_path / "study.toml"
    path.write_text(SPLIT)
    assert prepare(path).candidate_costs == pytest.approx([6e19])
    path.write_text(SPLIT.replace(old, new))
    if says:
        with pytest.raises(StudyError, match=says):
            prepare(path)
    else:
        assert np.isfinite(prepare(path).candidate_costs).all()


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 5000,
        "a = " + "[" * 300 + "]" * 300,
        "a = " + "{a = " * 3000 + "1" + "}" * 3000,
        ".".join("a" * 2000) + " = 1",
        "a = " + "9" * 5000,
    ],
)
def test_a_file_that_nests_deeply_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(text)
    with pytest.raises(StudyError, match=r"nested more than|thousands of digits"):
        read_study(tmp_path / "study.toml")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('"draws" = 300', "line 14: It is not TOML: Cannot overwrite a value"),
        ("'draws' = 300", "line 14: It is not TOML: Cannot overwrite a value"),
        ('"\\u0064raws" = 300', "line 14: It is not TOML: Cannot overwrite a value"),
        ("target-accept = 0.9", "line 14, sampling.target-accept: There is no such key."),
        ("Draws = 300", "line 14, sampling.Draws: There is no such key. Did you mean 'draws'"),
    ],
)
def test_a_key_has_one_spelling_and_stands_once(line: str, says: str, tmp_path: Path) -> None:
    path = written(tmp_path, changed(("draws = 250", f"draws = 250\n{line}")))
    with pytest.raises(StudyError) as caught:
        prepare(path)
    assert says in str(caught.value)


@pytest.mark.parametrize("name", ["x" * 300 + ".toml", "\0.toml"])
def test_a_name_that_no_file_can_have_is_no_file(name: str, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="There is no such file"):
        read_study(tmp_path / name)


def test_many_faults_are_told_quickly_and_in_few_words(tmp_path: Path) -> None:
    text = SMALL + "\n".join(f"key_{i} = {i}" for i in range(20_000))
    path = written(tmp_path, text)
    draft = read_draft(path)
    assert len(draft.faults) == 20_000
    assert draft.faults[-1].row == f"line {text.count(chr(10)) + 1}"
    assert len(str(StudyError(str(path), draft.faults))) < 20_000


#: Values that stand for others: of another type, out of range, or out of a computer's range.
ODD = (
    *("1e400", "-1", "0", "nan", "-inf", "1e308", '""', '"x"', "[]", "{}", "[[1]]", "[{}]", "true"),
    *('"\\u0000"', "1979-05-27", '"loss"', "{ data_size = 0 }", "{ data_size = 10 }", '"flop"'),
    *("{ distribution = 3 }", '["data_size > 3e8", "loss >"]', "{ data_size = [1e9], task = [] }"),
    *(
        '"/"',
        '"."',
        '"1 + (x | 0 + y)"',
        "[1e9, 'x']",
        "{ data_size = 1e9, task = 'new' }",
        "1" * 99,
    ),
)


@pytest.mark.parametrize(("seed", "files"), [(0, 25), pytest.param(1, 150, marks=pytest.mark.slow)])
def test_a_broken_file_is_refused_and_never_fails(seed: int, files: int, tmp_path: Path) -> None:
    """Files with some values, lines or letters replaced."""
    rng = np.random.default_rng(seed)
    path = written(tmp_path)
    lines = SMALL.strip().split("\n")
    for _ in range(files):
        broken = list(lines)
        for i in rng.integers(len(lines), size=rng.integers(1, 4)):
            key, equals, _ = broken[i].partition("=")
            if equals and rng.uniform() < 0.7:
                broken[i] = f"{key}= {ODD[rng.integers(len(ODD))]}"
            else:
                broken[i] = ["", broken[i][1:], broken[i].replace("a", "-")][rng.integers(3)]
        path.write_text("\n".join(broken))
        try:
            prepare(path)
        except BayeslawError as error:
            assert len(str(error)) < 10_000
