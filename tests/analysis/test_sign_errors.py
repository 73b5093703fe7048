"""How often a few seeds have another sign than all: counted over all groups, or over drawn ones."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest

from ablation.analysis.sign_errors import sign_errors


def test_every_group_is_counted() -> None:
    differences = np.array([0.03, 0.02, 0.01, -0.02, 0.0])
    table = sign_errors(differences).set_index("pairs")
    assert list(table.index) == [1, 2, 3, 5]
    assert table.loc[1, ["groups", "same", "zero", "other"]].tolist() == [5, 0.6, 0.2, 0.2]
    for size in (2, 3):
        means = [round(sum(group), 9) for group in combinations(differences, size)]
        assert table.loc[size, "groups"] == len(means) == 10
        assert table.loc[size, "zero"] == pytest.approx(sum(mean == 0 for mean in means) / 10)
        assert table.loc[size, "other"] == pytest.approx(sum(mean < 0 for mean in means) / 10)
    assert table.loc[5, "groups"] == 0  # the whole has no other sign than itself
    assert math.isnan(table.loc[5, "other"])


def test_the_sign_is_that_of_the_mean_of_all() -> None:
    above, below = sign_errors(np.array([0.03, 0.02, -0.01])), sign_errors(-np.array([0.03, 0.02, -0.01]))
    assert above["other"].tolist()[:2] == below["other"].tolist()[:2] == [pytest.approx(1 / 3), 0.0]


def test_many_groups_are_drawn_and_agree_with_counting() -> None:
    """Of 60 normal differences, the share of groups of five is close to that of fresh ones."""
    differences = np.random.default_rng(1).normal(0.01, 0.02, 60)
    table = sign_errors(differences).set_index("pairs")
    assert table["all_groups"].tolist() == [True, True, True, False]
    assert table.loc[5, "groups"] == 50_000
    few = np.random.default_rng(2).choice(differences, (100_000, 5))
    assert table.loc[5, "other"] == pytest.approx(np.mean(few.mean(axis=1) < 0), abs=0.02)
    assert sign_errors(differences).equals(sign_errors(differences))


@pytest.mark.parametrize("differences", [[], [0.01], [0.01, -0.01], [0.0, 0.0, 0.0]])
def test_without_a_sign_of_the_whole_there_is_no_share(differences: list[float]) -> None:
    assert sign_errors(np.array(differences))["other"].isna().all()
