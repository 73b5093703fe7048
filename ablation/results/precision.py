"""What another precision would save, from what was measured on the machine of the trials."""

from __future__ import annotations

import statistics

from ablation.analysis.phrases import bfloat16_saves
from ablation.executors.processor_speed import PROVENANCE_KEY
from ablation.models.cost import Speed, guess_seconds
from ablation.results.run import Run


def bfloat16_note(run: Run) -> str:
    """Say what mixed_bfloat16 would save; empty where that is not known, or hardly anything."""
    provenances = (result.provenance for result in run.trial_results.values())
    shares = [float(p[PROVENANCE_KEY]) for p in provenances if PROVENANCE_KEY in p]
    if not shares or {trial.training.precision for trial in run.trials} != {"float32"}:
        return ""
    speed = Speed(bfloat16_share=statistics.median(shares))

    def seconds(**changes: str) -> float:
        return sum(
            guess_seconds(t.model, t.training.model_copy(update=changes), run.dataset, speed)
            for t in run.trials
        )

    return bfloat16_saves(seconds(), seconds(precision="mixed_bfloat16"))
