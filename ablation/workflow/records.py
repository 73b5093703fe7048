"""What commands say as plain data, for scripts: mappings, lists, text, numbers, true, false and None.

The keys are described in ``ablation/docs/shell.md``. Keys are added, never renamed; if that has to change, or
what a key means, `SCHEMA` is raised. Numbers that are not finite are None.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ablation.analysis.completed_trials import completed_results
from ablation.analysis.intervals import mean_intervals
from ablation.analysis.pairing import pairing_gain
from ablation.analysis.sample_size import MOST_SEEDS, POWER, images_suffice
from ablation.errors import RunError, did_you_mean
from ablation.grid.compare_settings import CompareSettings
from ablation.report.verify import Verification, verify_run
from ablation.results.left_out import earlier_code_notes, left_out_notes, lost_images_notes
from ablation.results.notes import identical_notes, run_notes
from ablation.results.overview import RunOverview
from ablation.results.run import Run
from ablation.store.leftovers import Leftover
from ablation.workflow.audit import audit_pairing
from ablation.workflow.check import Check
from ablation.workflow.dry_run import Plan

SCHEMA = 1
_MEASURES = ["train_accuracy", "val_accuracy", "test_accuracy", "gap_accuracy"]

Record = dict[str, Any]


def status_record(run: Run) -> Record:
    """Return how far a run is: its trials, their results, the variants' means, the verdicts so far."""
    counts = run.results["status"].value_counts()
    completed = completed_results(run.results)
    has_test = run.study.reads_test and not completed.empty
    means = mean_intervals(completed, ["variant"], _MEASURES) if has_test else pd.DataFrame()
    verdicts = run.comparisons[run.comparisons["verdict"] != ""] if has_test else pd.DataFrame()
    statuses = ("completed", "failed", "diverged", "timeout", "pending")
    return _record(
        "status",
        **_about(run),
        trials={"planned": len(run.trials), **{status: int(counts.get(status, 0)) for status in statuses}},
        results=run.results,
        means=means,
        verdicts=verdicts,
        tuned=run.tuned if run.study.tune else [],
        notes=[*lost_images_notes(run), *earlier_code_notes(run), *identical_notes(run), *run.tuning.notes],
    )


def compare_record(run: Run) -> Record:
    """Return the comparisons of a run, with the tables that belong to them."""
    return _record(
        "compare",
        **_about(run),
        compare=_compare(run.compare),
        comparisons=run.comparisons,
        effects=run.effects,
        ranking=run.ranking,
        dose_response=run.dose_response,
        noise=run.noise,
        notes=run_notes(run),
    )


def plan_record(run: Run) -> Record:
    """Return how many seeds each declared question of a run needs."""
    questions = [{**row, "needs": _needs(row, run.compare)} for row in run.seeds_needed.to_dict("records")]
    return _record(
        "plan",
        **_about(run),
        compare=_compare(run.compare),
        power=POWER,
        questions=questions,
        notes=left_out_notes(run),
    )


def audit_record(run: Run, pairing: pd.DataFrame | None = None) -> Record:
    """Return whether the trials of a run are paired, and what pairing gained.

    Args:
        run: The run.
        pairing: What `audit_pairing` returned, if it was called before.
    """
    pairing = audit_pairing(run) if pairing is None else pairing
    return _record(
        "audit",
        **_about(run),
        paired=bool(pairing["paired"].fillna(True).all()),
        pairing=pairing,
        gain=pairing_gain(run.results, run.study.baseline),
        notes=left_out_notes(run),
    )


def verify_record(run: Run, verification: Verification | None = None) -> Record:
    """Return what differs between a run's reports and its trials.

    Args:
        run: The run.
        verification: What `verify_run` returned, if it was called before.
    """
    verification = verification or verify_run(run)
    return _record(
        "verify",
        **_about(run),
        agrees=not verification.differences,
        differences=[asdict(difference) for difference in verification.differences],
        files=verification.files,
        numbers=verification.numbers,
        skipped=verification.skipped,
    )


def check_record(check: Check) -> Record:
    """Return each variant's size, and the layers in which it differs from the baseline."""
    variants = [
        {
            "name": variant.name,
            "parameters": variant.parameters,
            "multiply_adds": variant.multiply_adds,
            "layers": len(variant.layers),
            "error": variant.error,
            "differences": []
            if variant.error
            else [asdict(difference) for difference in check.differences(variant)],
        }
        for variant in check.variants
    ]
    about = {"description": check.description, "classes": check.classes, "baseline": check.baseline}
    return _record("check", **about, trials=check.trials, variants=variants, notes=check.notes)


def dry_run_record(plan: Plan) -> Record:
    """Return what a run would do."""
    return _record("dry-run", **asdict(plan))


def runs_record(folder: Path, runs: Sequence[RunOverview]) -> Record:
    """Return the runs in a folder, at a glance."""
    return _record("runs", folder=folder, runs=[{**asdict(run), "state": run.state} for run in runs])


def clean_record(folder: Path, leftovers: Sequence[Leftover], is_removed: bool) -> Record:
    """Return what old versions of a study left in a run folder, and whether it was removed."""
    return _record(
        "clean",
        folder=folder,
        removed=is_removed,
        bytes=sum(leftover.bytes for leftover in leftovers),
        leftovers=[asdict(leftover) for leftover in leftovers],
    )


def _record(command: str, **content: Any) -> Record:
    return {"schema": SCHEMA, "command": command, **plain(content)}


def _about(run: Run) -> Record:
    return {"folder": run.folder, "study": run.study.name, "baseline": run.study.baseline}


def _compare(compare: CompareSettings) -> Record:
    return {
        **compare.model_dump(mode="json"),
        "unit": "accuracy, from 0 to 1" if compare.in_points else compare.metric,
    }


def _needs(row: Mapping[Any, Any], compare: CompareSettings) -> str:
    """Say what a question needs, where its number of seeds is not finite."""
    if math.isnan(row["seeds"]):
        return "two pairs"
    if math.isinf(row["seeds"]):
        error = row["se_images"]
        enough = not error or images_suffice(compare.margin / error, row["level"], compare)
        return f"more than {MOST_SEEDS:,} seeds" if enough else "more test images"
    return "seeds"


def run_record(run: Run, command: str) -> Record:
    """Return the record of a run that a command prints.

    Args:
        run: The run.
        command: ``status``, ``compare``, ``plan``, ``audit`` or ``verify``.

    Raises:
        RunError: There is no such record.
    """
    records: dict[str, Callable[[Run], Record]] = {
        "status": status_record, "compare": compare_record, "plan": plan_record, "audit": audit_record,
        "verify": verify_record,
    }  # fmt: skip
    if command not in records:
        raise RunError(f"there is no record '{command}' of a run.{did_you_mean(command, records)}")
    return records[command](run)


def plain(value: Any) -> Any:
    """Return a value in types that JSON has; what is not a finite number becomes None."""
    if isinstance(value, pd.DataFrame):
        return [plain(row) for row in value.to_dict("records")]
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, datetime):
        return value.astimezone().isoformat(timespec="seconds")
    return str(value) if isinstance(value, Path) else value
