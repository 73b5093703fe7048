"""A trial's id names all that can change its result, and nothing else."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from studies import SPLIT, SPLIT_AND_TEST

from ablation.grid.seeding import DEFAULT_VARY
from ablation.grid.settings import CnnSettings, DenseSettings, TrainingSettings
from ablation.grid.trial import EpochRecord, Trial, TrialResult, slug

TRIAL = Trial(variant="plain", seed=0, dataset_digest="d1", model=CnnSettings(), training=TrainingSettings())


def test_an_id_is_variant_seed_and_eight_hex_digits() -> None:
    assert re.fullmatch(r"plain-s0-[0-9a-f]{8}", TRIAL.id)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"dataset_digest": "d2"},
        {"threads": 2},
        {"vary": ("init",)},
        {"vary": SPLIT},
        {"vary": SPLIT_AND_TEST},
        {"model": CnnSettings(dropout=0.2)},
        {"model": DenseSettings()},
        {"training": TrainingSettings(epochs=31)},
        {"training": TrainingSettings(precision="mixed_bfloat16")},
    ],
)
def test_what_changes_a_result_changes_the_id(change: dict[str, object]) -> None:
    known = TRIAL.id  # which is kept, and must not be copied
    copy = TRIAL.model_copy(update=change)
    assert copy.id[-8:] != known[-8:]
    fields = {name: getattr(TRIAL, name) for name in Trial.model_fields}
    assert copy.id == Trial(**{**fields, **change}).id


def test_what_is_off_or_only_a_name_does_not_change_the_id() -> None:
    renamed = TRIAL.model_copy(update={"variant": "base"})
    off = TRIAL.model_copy(update={"model": CnnSettings(batch_norm_momentum=0.5, order="batch_norm_first")})
    assert TRIAL.id[-8:] == renamed.id[-8:] == off.id[-8:]


def test_the_id_of_a_trial_never_changes_by_accident() -> None:
    # Pinned: finished trials of all users are found by it. To change it is to discard them.
    assert TRIAL.id == "plain-s0-347b6a25"


def test_the_streams_of_training_are_the_default_and_not_part_of_an_id() -> None:
    assert "vary" not in TRIAL.settings
    assert TRIAL.model_copy(update={"vary": DEFAULT_VARY}).id == TRIAL.id


def test_a_trial_with_its_own_split_is_named_by_the_pool_the_seed_and_the_stream() -> None:
    settings = TRIAL.model_copy(update={"vary": SPLIT, "seed": 3}).settings
    assert settings["dataset"] == "d1"  # the digest of the pool
    assert settings["seed"] == 3
    assert "split" in settings["vary"]
    # Pinned, as above.
    assert TRIAL.model_copy(update={"vary": SPLIT}).id == "plain-s0-d922f413"


def test_json_restores_trial_and_result_exactly() -> None:
    assert Trial.model_validate_json(TRIAL.model_dump_json()) == TRIAL
    record = EpochRecord(
        epoch=1, loss=math.inf, accuracy=0.1 + 0.2, active_loss=math.pi, active_accuracy=0.0, train_loss=1e-320,
        train_accuracy=1 / 3, val_loss=2.0, val_accuracy=0.5, seconds=1.5, order="0a1b2c3d",
        extra={"val_auc": 0.25},
    )  # fmt: skip
    result = TrialResult(trial_id=TRIAL.id, status="diverged", history=(record,), metrics={"val_loss": 2.0})
    assert TrialResult.model_validate_json(result.model_dump_json()) == result


@given(st.text())
def test_a_slug_is_a_safe_file_name(name: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_+=.-]{1,40}", slug(name))
    assert slug(name) not in (".", "..")
    assert slug(name)[0] not in ".-"
