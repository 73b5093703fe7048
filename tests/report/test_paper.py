"""What `ablation report --paper` writes: a table of one column, methods, references, figures, a checklist."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner
from untrained_runs import untrained_run

from ablation import Run, Trial, TrialResult
from ablation.cli.app import app
from ablation.errors import AblationError, RunError
from ablation.report.paper.latex import breakable, tex
from ablation.report.paper.layout import COLUMN
from ablation.report.paper.references import ENTRIES
from ablation.report.paper.write import NAMES, paper_texts

GRID = """
    study: paper
    question: Does Dropout help?
    model: {batch_norm_momentum: 0.9}
    training: {epochs: 4, batch_size: 16}
    factors:
      dropout: [0, 0.3]
      batch_norm: [false, true]
    variants:
      deeper: {depth: 2}
    compare: {margin: 1pp}
    seeds: 5
"""
TEXTS = [name for name in NAMES if not name.endswith(".pdf")]


def one_fails(trial: Trial, result: TrialResult) -> TrialResult:
    """One trial of the deeper model runs out of memory."""
    if trial.variant == "deeper" and trial.seed == 2:
        return TrialResult(trial_id=trial.id, status="failed", cause="out of memory")
    return result


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = untrained_run(GRID, tmp_path_factory.mktemp("paper"), one_fails)
    run.write_paper()
    return run


@pytest.fixture(scope="module")
def texts(run: Run) -> dict[str, str]:
    return written(run)


def written(run: Run) -> dict[str, str]:
    """Return the text files of a run's paper."""
    files = {name: run.folder / "paper" / name for name in TEXTS}
    return {name: file.read_text("utf-8") for name, file in files.items() if file.is_file()}


def pieces(run: Run) -> dict[str, str]:
    """Return the text files of a run's paper without drawing its figures."""
    return paper_texts(run, [], "nothing")


def compiled(folder: Path) -> str:
    """Compile the paper in a folder; return the log."""
    if not shutil.which("pdflatex") or not shutil.which("bibtex"):
        pytest.skip("install pdflatex and bibtex to compile a paper (apt install texlive-latex-recommended)")
    latex = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    for command in (latex, ["bibtex", "paper"], latex, latex):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
        assert done.returncode == 0, done.stdout[-2000:]
        assert command == latex or "Warning" not in done.stdout, done.stdout
    return (folder / "paper.log").read_text("latin-1")


def test_the_table_has_a_row_per_variant_with_its_components_mean_difference_and_mark(
    texts: dict[str, str],
) -> None:
    rows = re.findall(r"^(.+) \\\\$", texts["table.tex"], re.MULTILINE)
    assert rows == [
        r"Variant & \rotatebox{90}{Dropout} & \rotatebox{90}{BatchNorm} & "
        r"\shortstack[r]{Test\\accuracy (\%)} & $n$ & $\Delta$ & [interval] & ",
        r"plain & \ding{55} & \ding{55} & 50.4 $\pm$ 1.2 & 5 & -- &  & ",
        r"+Dropout & \ding{51} & \ding{55} & 53.1 $\pm$ 0.4 & 5 & +2.7 & [+1.5, +3.9] & $\blacktriangle$",
        r"+BatchNorm & \ding{55} & \ding{51} & 55.2 $\pm$ 1.5 & 5 & +4.8 & [+3.0, +6.6] & $\blacktriangle$",
        r"+both & \ding{51} & \ding{51} & 58.7 $\pm$ 1.3 & 5 & +8.3 & [+5.5, +11.2] & $\blacktriangle$",
        r"deeper (depth = 2) & \ding{55} & \ding{55} & 61.8 $\pm$ 0.3 & 4 & +11.4 & [+8.4, +14.3] & "
        r"$\blacktriangle$",
    ]


def test_its_caption_says_what_marks_and_intervals_mean(texts: dict[str, str]) -> None:
    caption = re.search(r"\\caption\{(.*)\}", texts["table.tex"])
    assert caption
    assert caption[1] == (
        r"Test accuracy of each variant: the mean over $n = 4$ to 5 seeds, $\pm$ half the width of its 95\% "
        r"confidence interval (Student's t). \ding{51} and \ding{55}: with and without Dropout (0.3), BatchNorm. "
        r"$\Delta$: the difference from plain in percentage points, paired by seed, with the interval from which "
        r"the verdict is read (paired t-test over seeds; confidence 95\% to 98.8\%; Holm's method over 4 declared "
        r"questions, $\alpha$ = 0.05). $\blacktriangle$: better, the interval excludes 0. 1 trial of 25 did not "
        r"complete; each variant is compared on the seeds that it and the other one completed. Still improving "
        r"when training ended: plain, +Dropout, +BatchNorm, +both, deeper. Data: Handwritten digits (8x8 scans, "
        r"from scikit-learn): 60 training, 40 validation and 50 test images."
    )


def test_methods_cite_exactly_what_the_references_define(texts: dict[str, str]) -> None:
    cited = {
        key
        for text in texts.values()
        for group in re.findall(r"\\cite\{([^}]+)\}", text)
        for key in group.split(",")
    }
    assert re.findall(r"^@\w+\{(\w+),$", texts["references.bib"], re.MULTILINE) == sorted(cited)
    assert cited <= ENTRIES.keys()
    assert {"kingma2015adam", "srivastava2014dropout", "ioffe2015batch", "holm1979simple"} <= cited
    assert not cited & {
        "wang2025anytime",
        "krizhevsky2009learning",
        "box2005statistics",
        "omalley2019kerastuner",
    }


def test_methods_have_the_numbers_of_the_study(texts: dict[str, str]) -> None:
    methods = " ".join(texts["methods.tex"].split())
    for sentence in (
        "60 training, 40 validation and 50 test images~\\cite{alpaydin1998optical,pedregosa2011scikit}.",
        "Models were trained for 4 epochs with batches of 16 images, by Adam~\\cite{kingma2015adam} with a "
        "learning rate of 0.001, to minimise the categorical crossentropy.",
        "We varied Dropout (0, 0.3) and BatchNorm (false, true), in all 4 combinations.",
        "The further variant is deeper (depth = 2).",
        "Each variant was trained with 5 seeds (0 to 4).",
        "The study declares 4 questions, which share $\\alpha = 0.05$ by Holm's method~\\cite{holm1979simple}.",
        "within $\\pm$ 1.0 percentage points, the smallest difference that matters",
        "Of 25 planned trials, 1 failed; each comparison uses the seeds that both of its variants completed.",
        "TensorFlow 2.21.0~\\cite{abadi2016tensorflow}, Keras 3.15.1~\\cite{chollet2015keras}",
        "Hardware: A Processor, 8 cores; 1 thread per trial.",
    ):
        assert sentence in methods


def test_the_checklist_is_filled_in(texts: dict[str, str]) -> None:
    items = dict(re.findall(r"^- \[x\] \*\*(.+?)\.\*\* (.+)$", texts["checklist.md"], re.MULTILINE))
    assert list(items) == [
        "Data", "Split", "Hyperparameters, all variants", "Differences between the variants",
        "How hyperparameters were chosen", "Runs and seeds", "Error bars", "Verdicts",
        "Runs that did not complete, and how they were treated", "Hardware", "Time", "Software", "Code",
        "Limits",
    ]  # fmt: skip
    assert items["Runs that did not complete, and how they were treated"].startswith(
        "deeper seed 2 (failed)."
    )
    assert items["Runs and seeds"].startswith("5 variants, seeds 0 to 4; 24 of 25 planned trials completed.")
    assert "git commit 0123456789" in items["Code"]
    assert "depth = 2" in items["Differences between the variants"]
    assert texts["checklist.tex"].count(r"\item ") == len(items)


def test_nothing_speaks_of_pages_or_of_a_machines_name(texts: dict[str, str]) -> None:
    for name, text in texts.items():
        assert not re.search(
            r"\b(click|html|below|above|page|section on|this report|secret-host)\b", text, re.I
        ), name
        assert not re.search(r"\bnan\b", text), name


def test_figures_are_as_wide_as_a_column_and_the_same_each_time(run: Run, tmp_path: Path) -> None:
    files = sorted((run.folder / "paper" / "figures").iterdir())
    assert [file.name for file in files] == ["differences.pdf", "learning_curves.pdf", "overfitting_gap.pdf"]
    run.write_paper(tmp_path)
    for file in files:
        content = file.read_bytes()
        box = re.search(rb"/MediaBox \[ ?0 0 ([\d.]+)", content)
        assert box
        assert float(box[1]) / 72 * 2.54 == pytest.approx(8.4, abs=0.01)
        assert (tmp_path / "paper" / "figures" / file.name).read_bytes() == content


def test_it_compiles_without_a_box_that_is_too_wide(run: Run, tmp_path: Path) -> None:
    folder = shutil.copytree(run.folder / "paper", tmp_path / "paper")
    log = compiled(folder)
    assert "Overfull" not in log
    assert "undefined" not in log


def test_thirty_variants_stay_one_column_wide(tmp_path: Path) -> None:
    variants = "\n".join(f"  wider by {k} of a hundred: {{width: {1 + k / 100}}}" for k in range(1, 30))
    run = untrained_run(f"study: thirty\nseeds: 3\nvariants:\n{variants}\n", tmp_path)
    text = pieces(run)["table.tex"]
    assert r"\begin{table*}" not in text
    assert text.count(r"\begin{tabularx}{\columnwidth}") == text.count(r"\begin{table}") == 2
    assert len(re.findall(r"^(?:plain|wider) .* \\\\$", text, re.MULTILINE)) == 30
    assert text.count(r"\caption{Continued.}") == 1


HOSTILE = [
    "x" * 100,
    r"a_b%c#d$e&f{g}h~i^j\k",
    "日本語 ünï α±→✓ 🎉 ħ",
    r"\input{/etc/passwd}",
    "<script>|`\"'",
]


@pytest.mark.filterwarnings("ignore:the figures show boxes")
def test_hostile_names_are_text(tmp_path: Path) -> None:
    variants = "\n".join(f"  {json.dumps(name)}: {{depth: {k}}}" for k, name in enumerate(HOSTILE, 2))
    question = json.dumps(r"Is 50% of $x$ \enough & good? " + "y" * 60)
    run = untrained_run(f"study: '_%\\x'\nquestion: {question}\nseeds: 3\nvariants:\n{variants}\n", tmp_path)
    run.write_paper()
    for name in ("table.tex", "methods.tex", "figures.tex", "checklist.tex", "paper.tex"):
        assert not re.search(r"\\input\{/|\\enough", written(run)[name])
    assert "Overfull" not in compiled(run.folder / "paper")


def test_text_is_escaped_and_long_words_can_be_broken() -> None:
    assert tex("50% of a_b & $x$ {y}") == r"50\% of a\_b \& \$x\$ \{y\}"
    assert tex("−1 α Ω ✓ 日 ħ é") == r"$-$1 $\alpha$ $\Omega$ \ding{51} \texttt{U+65E5} \texttt{U+0127} é"
    assert tex("a\n\x07b") == "a b"
    assert breakable("short words stay") == "short words stay"
    assert breakable("batch_norm_momentum=0.9", 12) == r"\allowbreak{}".join(
        [r"batch\_", r"norm\_", "momentum=", "0.9"]
    )
    assert breakable("x" * 10, 4) == r"\allowbreak{}".join(["xx"] * 5)


def test_a_fractional_design_has_a_table_of_its_effects(tmp_path: Path) -> None:
    grid = """
        study: fraction
        design: fractional
        compare: {questions: effects}
        factors:
          dropout: [0, 0.3]
          batch_norm: [false, true]
          width: [1, 2]
          depth: [1, 2]
          optimizer: [adam, sgd]
        seeds: 3
    """
    run = untrained_run(grid, tmp_path)
    run.write_paper()
    text = written(run)
    assert r"\Delta" not in re.findall(r"^(.+) \\\\$", text["table.tex"], re.MULTILINE)[0]
    declared = run.effects[run.effects["declared"] & (run.effects["n"] > 0)]
    rows = re.findall(r"^(.+) & .* \\\\$", text["effects.tex"], re.MULTILINE)
    assert len(rows) == len(declared) + 1
    assert r"\input{effects}" in text["paper.tex"]
    assert "box2005statistics" in text["references.bib"]
    assert (run.folder / "paper" / "figures" / "effects.pdf").is_file()


def test_a_run_that_is_not_finished_says_so(tmp_path: Path) -> None:
    text = pieces(untrained_run(GRID, tmp_path, lambda trial, result: result if trial.seed < 3 else None))
    assert "how they were treated.** 10 planned trials not run yet.\n" in text["checklist.md"]
    assert "Preliminary: 10 of 25 planned trials have not run yet." in text["table.tex"]
    assert (
        r"anytime-valid t-tests~\cite{lai1976confidence,wang2025anytime} at level 0.005"
        in text["methods.tex"]
    )


def test_a_metric_that_is_no_share_has_its_own_unit(tmp_path: Path) -> None:
    grid = GRID.replace("{margin: 1pp}", "{metric: test_loss, margin: 0.01, correction: none, looks: any}")
    text = pieces(untrained_run(grid.replace("[0, 0.3]", "[0, 0.1, 0.2]"), tmp_path))
    header, first = re.findall(r"^(.+) \\\\$", text["table.tex"], re.MULTILINE)[:2]
    assert "Test loss &" in header
    assert r"0.4959 $\pm$ 0.0123" in first
    assert "percentage points" not in text["table.tex"]
    assert "holm1979simple" not in text["references.bib"]


def test_what_belonged_to_an_earlier_state_is_removed_and_other_files_stay(run: Run, tmp_path: Path) -> None:
    figures = tmp_path / "paper" / "figures"
    figures.mkdir(parents=True)
    for file in (figures / "effects.pdf", figures.parent / "effects.tex", figures.parent / "mine.tex"):
        file.write_text("before")
    run.write_paper(tmp_path)
    assert not (figures / "effects.pdf").exists()
    assert not (figures.parent / "effects.tex").exists()
    assert (figures.parent / "mine.tex").read_text() == "before"


@pytest.fixture
def copy(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A copy of the run, to do harm to; it has a paper and no report."""
    monkeypatch.setattr("ablation.report.verify.draw_figures", lambda run, folder: [])
    monkeypatch.setattr("ablation.report.verify.contradiction", lambda *_: "")  # results are made up
    return Run(shutil.copytree(run.folder, tmp_path / "run"))


def differences(run: Run) -> list[str]:
    return [str(difference) for difference in run.verify().differences]


def test_verify_names_each_changed_number(copy: Run) -> None:
    assert copy.verify().differences == []
    lines = {}
    for name in written(copy):
        file = copy.folder / "paper" / name
        text = file.read_text("utf-8").splitlines()
        k = max(k for k, line in enumerate(text) if re.search(r"\d", line))
        text[k] = re.sub(r"\d", lambda digit: str((int(digit[0]) + 1) % 10), text[k], count=1)
        lines[name] = k + 1
        file.write_text("\n".join(text) + "\n", "utf-8")
    figure = copy.folder / "paper" / "figures" / "differences.pdf"
    figure.write_bytes(figure.read_bytes() + b"%")
    found = differences(copy)
    for name, line in lines.items():
        assert [text for text in found if text.startswith(f"paper/{name}, line {line}: says '")], name
    assert [
        text for text in found if text.startswith("paper/figures/differences.pdf, the figure: says 'drawing ")
    ]
    assert len(found) == len(lines) + 1


def test_a_paper_of_another_version_is_not_compared_and_that_is_said(copy: Run) -> None:
    document = copy.folder / "paper" / "paper.tex"
    text = document.read_text("utf-8")
    document.write_text(re.sub("drawn with [^\n]*", "drawn with matplotlib 1.0.", text), "utf-8")
    (copy.folder / "paper" / "figures" / "differences.pdf").write_text("drawn otherwise")
    verification = copy.verify()
    assert verification.differences == []
    assert verification.skipped.startswith(
        "figures of the paper are not compared: drawn with matplotlib 1.0, and"
    )
    document.write_text(text.replace("Paper version 1.", "Paper version 0."), "utf-8")
    verification = copy.verify()
    assert verification.differences == []
    assert verification.skipped == (
        "the paper is not compared, because another version of ablation wrote it; `ablation report --paper` "
        "writes it again"
    )


def test_the_command_writes_it_and_prints_where(run: Run, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["report", str(run.folder), "--paper", "--out", str(tmp_path)])
    assert done.output.strip() == str(tmp_path / "paper" / "paper.tex")


def test_what_the_command_cannot_do_is_said(run: Run, tmp_path: Path) -> None:
    def error(*arguments: object) -> str:
        done = CliRunner().invoke(app, ["report", "--paper", *map(str, arguments)])
        assert isinstance(done.exception, AblationError)
        return str(done.exception)

    assert error(run.folder, "--compare", run.folder) == (
        "--paper is about one run, and --compare puts two side by side; give one of them."
    )
    (tmp_path / "search.json").write_text("{}")
    assert error(tmp_path) == "--paper needs a run folder; those of a search are search/ and confirmation/."


def test_a_run_without_a_completed_trial_has_no_paper(tmp_path: Path) -> None:
    run = untrained_run(GRID, tmp_path, lambda trial, result: None)
    message = f"{run.folder}: no trial is completed yet, so there is nothing to write a paper from."
    with pytest.raises(RunError, match=re.escape(message)):
        run.write_paper()


def test_the_columns_fit_the_narrowest_usual_column() -> None:
    assert COLUMN / 72.27 * 2.54 < 8.4


@pytest.mark.parametrize(
    ("tuner", "sentence", "cited"),
    [
        (
            "tpe",
            r"each variant was tuned by two TPE~\cite{bergstra2011algorithms} searches with Optuna~\cite{akiba2019optuna}, each",
            {"bergstra2011algorithms", "akiba2019optuna"},
        ),
        (
            "random",
            r"each variant was tuned by two random searches with KerasTuner~\cite{omalley2019kerastuner}, each",
            {"omalley2019kerastuner"},
        ),
    ],
)
def test_methods_name_what_tuned_the_variants(
    tuner: str, sentence: str, cited: set[str], tmp_path: Path
) -> None:
    grid = "study: s\nvariants: {wide: {width: 2}}\nseeds: 3\n"
    grid += f"tune: {{space: {{learning_rate: {{range: [0.001, 0.1]}}}}, tuner: {tuner}}}\n"
    texts = pieces(untrained_run(grid, tmp_path))
    assert sentence in " ".join(texts["methods.tex"].split())
    tuning = {"bergstra2011algorithms", "akiba2019optuna", "omalley2019kerastuner"}
    assert {key for key in tuning if key in texts["references.bib"]} == cited
