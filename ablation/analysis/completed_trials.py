"""Which trials of a results table count: those that completed, and those that can be compared."""

from __future__ import annotations

import pandas as pd


def completed_results(results: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a results table whose trial completed."""
    return results[results["status"] == "completed"]


def not_completed_notes(results: pd.DataFrame, where: str) -> list[str]:
    """Say how many trials of a part did not complete, and why the first of them did not; nothing if all did.

    Args:
        results: A results table.
        where: The part that it is of, as the first words of a sentence.
    """
    causes = results[results["cause"] != ""].to_dict("records")
    if not causes:
        return []
    first, many = causes[0], f"{len(causes)} trials" if len(causes) > 1 else "1 trial"
    return [
        f"{where}: {many} did not complete, and {'each' if len(causes) > 1 else 'it'} is left out. "
        f"{first['variant']}, seed {first['seed']}: {str(first['cause']).rstrip('.')}."
    ]


def comparable(results: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Return the completed trials that ran in the same environment as the baseline's trial of their seed.

    Where the baseline has not completed a seed, the seed's most frequent environment counts.
    """
    completed = completed_results(results)
    of_baseline = completed[completed["variant"] == baseline].set_index("seed")["provenance"]
    by_seed = completed.groupby("seed")["provenance"]
    most_frequent = by_seed.agg(lambda values: values.value_counts(sort=False).idxmax())
    reference = of_baseline.combine_first(most_frequent)
    return completed[completed["provenance"] == completed["seed"].map(reference)]


def split_pairs(results: pd.DataFrame, baseline: str) -> list[tuple[str, int]]:
    """Return the variant and seed of the pairs that completed, but in two different environments.

    Such a pair is not compared, because its difference may come from the environments.
    """
    completed = completed_results(results)
    of_baseline = completed[completed["variant"] == baseline].set_index("seed")["provenance"]
    paired = completed[completed["seed"].isin(of_baseline.index)]
    split = paired[paired["provenance"] != paired["seed"].map(of_baseline)]
    return list(zip(split["variant"], split["seed"], strict=True))
