"""The report's last sections: how to train the study again, and the list of its trials."""

from __future__ import annotations

from ablation.figures.readable import only_shown, variants_shown
from ablation.report.comparison_sections import Pictures
from ablation.report.document import Cell, Section, Table, code, plain
from ablation.report.trial_links import TrialLinks
from ablation.results.run import Run

MOST_TRIALS = 1000  # of which a page lists each


def reproduce_section(run: Run, pictures: Pictures, links: TrialLinks) -> Section:
    """Return the section on how to train the study again, with the environments of its trials."""
    text = [
        f"The whole study, with all settings resolved, is in {code('study.json')} beside this file. The "
        f"settings and results of each trial are in {code('trials/')}, and all tables are CSV files. To "
        "train the study again:",
        code("python -c \"import ablation; ablation.Run('.').study.run('again')\""),
        "To check that every number in this report agrees with the trials, and that no file was changed:",
        code("ablation verify ."),
        "On the same kind of processor, with the versions below, the numbers are the same to the last digit.",
    ]
    environments: dict[str, list[str]] = {}
    for result in run.trial_results.values():
        for key, value in result.provenance.items():
            if value not in environments.setdefault(key, []):
                environments[key].append(value)
    rows = [[Cell(key, kind="row"), Cell(" | ".join(values))] for key, values in environments.items()]
    environment_tables = [Table(["Environment", "All trials"], rows)] if rows else []
    return Section("reproduce", "Reproducibility", text, tables=environment_tables, folded=True)


def lists_all_trials(run: Run) -> bool:
    """Return whether the report lists every trial of a run: there may be too many for a page."""
    return not variants_shown(run) and len(run.trials) <= MOST_TRIALS


def trials_section(run: Run, pictures: Pictures, links: TrialLinks) -> Section:
    """Return the section that lists the trials, or as many as a page has room for."""
    rows = []
    listed = only_shown(run, run.results.assign(place=range(len(run.trials))))
    for row in listed.head(MOST_TRIALS).to_dict("records"):
        accuracy, k = row["test_accuracy"], row["place"]
        test = Cell("–" if accuracy != accuracy else f"{accuracy:.2%}", "", accuracy, (k,))
        fingerprint = run.store.fingerprint(run.trials[k]) or "–"
        identity = plain(k, row["trial_id"], row["variant"], row["seed"], row["status"])
        rows.append([*identity, test, Cell(fingerprint)])
    text = (
        "The numbers in this report come from these trials. A fingerprint is a hash of everything that a "
        f"trial wrote to disk; {code('ablation verify')} compares it with the files."
    )
    if not lists_all_trials(run):
        text += (
            f" Listed are {len(rows):,} of {len(run.trials):,} trials; {code('results.csv')} has all of "
            f"them, and {code('ablation seal')} gives one digest of all fingerprints."
        )
    headings = ["Trial", "Id", "Variant", "Seed", "Status", "Test accuracy", "Fingerprint"]
    return Section("trials", "Trials", [text], tables=[Table(headings, rows, sortable=True)], folded=True)
