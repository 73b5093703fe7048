"""With ``test`` beside ``split`` in ``vary``, each seed draws its own test images, too, from all images."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from studies import SPLIT, SPLIT_AND_TEST, study_of
from test_split import CLASSES, dataset_of, numbers, trial_of

from ablation.data.datasets import Dataset, prepare_dataset
from ablation.errors import DatasetError
from ablation.grid.dataset_settings import DatasetSettings
from ablation.grid.seeding import DEFAULT_VARY, Stream
from ablation.store.run_folder import Store

Draw = tuple[list[int], list[int], list[int]]


def drawn(dataset: Dataset, seed: int, variant: str = "plain") -> Draw:
    of_trial = dataset.of(trial_of(seed, variant, SPLIT_AND_TEST))
    return numbers(of_trial.train), numbers(of_trial.val), numbers(of_trial.test)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return dataset_of(tmp_path, SPLIT_AND_TEST)


def test_every_seed_draws_its_own_test_images(dataset: Dataset) -> None:
    draws = [drawn(dataset, seed) for seed in range(4)]
    for part in range(3):
        assert len({frozenset(draw[part]) for draw in draws}) == 4


def test_every_variant_of_a_seed_is_tested_on_the_same_images_in_the_same_order(dataset: Dataset) -> None:
    assert drawn(dataset, 3, "dropout") == drawn(dataset, 3)


def test_the_parts_are_as_large_as_those_of_the_fixed_split_and_share_no_image(dataset: Dataset) -> None:
    for seed in range(20):
        train, val, test = drawn(dataset, seed)
        assert (len(train), len(val), len(test)) == (40, 30, 50)
        assert len({*train, *val, *test}) == 120


def test_without_a_size_a_seed_uses_every_image_once(tmp_path: Path) -> None:
    parts = drawn(dataset_of(tmp_path, SPLIT_AND_TEST, train_size=None), 0)
    assert sorted(number for part in parts for number in part) == list(range(200))


def test_every_image_is_tested_equally_often(dataset: Dataset) -> None:
    counts = np.zeros(200)
    for seed in range(600):
        counts[drawn(dataset, seed)[2]] += 1
    expected = 600 * 50 / 200
    assert counts.mean() == expected
    assert np.abs(counts - expected).max() < 5 * np.sqrt(expected)


def test_each_part_has_the_classes_in_their_shares(dataset: Dataset) -> None:
    for seed in range(20):
        of_trial = dataset.of(trial_of(seed, vary=SPLIT_AND_TEST))
        for part, size in ((of_trial.train, 40), (of_trial.val, 30), (of_trial.test, 50)):
            assert np.abs(np.bincount(part.labels, minlength=3) - size * np.array([0.6, 0.3, 0.1])).max() <= 2
            assert CLASSES[numbers(part)].tolist() == part.labels.tolist()


def test_images_with_several_labels_are_drawn_at_random(tmp_path: Path) -> None:
    labels = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 0, 0]], np.uint8)[np.arange(200) % 4]
    dataset = dataset_of(tmp_path, SPLIT_AND_TEST, labels=labels)
    train, val, test = drawn(dataset, 0)
    assert len({*train, *val, *test}) == 120
    assert set(drawn(dataset, 1)[2]) != set(test)


def test_the_labels_of_a_seeds_test_images_are_known_without_the_images(dataset: Dataset) -> None:
    for seed in range(3):
        trial = trial_of(seed, vary=SPLIT_AND_TEST)
        assert dataset.test_labels_of(trial.randomness).tolist() == dataset.of(trial).test.labels.tolist()
    fixed = trial_of(0, vary=DEFAULT_VARY)
    assert dataset.test_labels_of(fixed.randomness) is dataset.test.labels


def test_another_process_draws_the_same_images(dataset: Dataset, tmp_path: Path) -> None:
    dataset.save(tmp_path / "dataset.npz")
    loaded = Dataset.load(tmp_path / "dataset.npz")
    assert (loaded.digest, loaded.describe()) == (dataset.digest, dataset.describe())
    code = (
        "import sys; from pathlib import Path; from ablation.data.datasets import Dataset; "
        "from ablation.grid.trial import Trial; "
        "of_trial = Dataset.load(Path(sys.argv[1])).of(Trial.model_validate_json(sys.argv[2])); "
        "parts = (of_trial.train, of_trial.val, of_trial.test); "
        "print(*(number for part in parts for number in part.images[:, 0, 0, 0]))"
    )
    arguments = [str(tmp_path / "dataset.npz"), trial_of(7, vary=SPLIT_AND_TEST).model_dump_json()]
    printed = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    assert [int(number) for number in printed.stdout.split()] == [
        n for part in drawn(dataset, 7) for n in part
    ]


def test_the_draws_of_a_seed_never_change_by_accident(dataset: Dataset) -> None:
    # Pinned: a trial's id names the seed and the pool, and with them these images.
    train, _, test = drawn(dataset, 0)
    assert (train[:5], test[:5]) == ([141, 74, 15, 176, 48], [16, 122, 57, 61, 166])


def test_the_digest_says_what_seeds_draw(dataset: Dataset, tmp_path: Path) -> None:
    """Both have the same images; the file in a run folder has to say whether test images are drawn."""
    assert dataset.digest != dataset_of(tmp_path, SPLIT).digest


def test_a_dataset_for_other_draws_is_not_used(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no pool of images to draw from"):
        dataset.of(trial_of(0, vary=SPLIT))
    with pytest.raises(DatasetError, match="no pool of images to draw from"):
        dataset_of(tmp_path, SPLIT).of(trial_of(0, vary=SPLIT_AND_TEST))


def test_the_description_names_the_pool_of_all_images(dataset: Dataset) -> None:
    assert dataset.describe() == (
        "own.npz: 40 training, 30 validation and 50 test images, which each seed draws from 200"
    )


def refusal(settings: DatasetSettings, vary: tuple[Stream, ...] = SPLIT_AND_TEST) -> str:
    with pytest.raises(DatasetError) as error:
        prepare_dataset(settings, vary)
    return str(error.value)


REFUSED = (
    "vary: test needs a dataset without a test set of its own, and {} has one; remove test from vary, and all "
    "seeds share its test images."
)


def test_a_file_with_test_images_is_refused(tmp_path: Path) -> None:
    images = np.zeros((40, 2, 2, 1), np.uint8)
    arrays = {"x_train": images, "y_train": np.arange(40) % 2, "x_test": images, "y_test": np.arange(40) % 2}
    np.savez(tmp_path / "own.npz", **arrays)
    settings = DatasetSettings(name="npz", path=str(tmp_path / "own.npz"))
    assert refusal(settings) == REFUSED.format("own.npz")
    assert prepare_dataset(settings, SPLIT).pool is not None


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "mnist", "fashion_mnist"])
def test_a_dataset_that_is_known_to_have_test_images_is_refused_before_a_download(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(settings: DatasetSettings) -> None:
        raise AssertionError("nothing needs to be read")

    monkeypatch.setattr("ablation.data.datasets.read_source", read)
    assert refusal(DatasetSettings.model_validate({"name": name})) == REFUSED.format(name)


def test_a_file_of_a_known_dataset_is_read_and_may_have_no_test_images(tmp_path: Path) -> None:
    np.savez(tmp_path / "part.npz", x=np.zeros((100, 28, 28), np.uint8), y=np.arange(100) % 10)
    dataset = prepare_dataset(DatasetSettings(name="mnist", path=str(tmp_path / "part.npz")), SPLIT_AND_TEST)
    assert "draws from 100" in dataset.describe()


def test_a_loader_with_test_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "my_images.py").write_text(
        "import numpy as np\n"
        "def load():\n"
        "    x, y = np.zeros((40, 2, 2, 1), np.uint8), np.arange(40) % 2\n"
        "    return (x, y), (x, y)\n",
        "utf-8",
    )
    settings = DatasetSettings(name="own", loader="my_images:load", path=str(tmp_path))
    assert refusal(settings) == REFUSED.format("my_images:load")


def test_a_folder_knows_which_images_its_dataset_has(tmp_path: Path) -> None:
    """The file of a study in which seeds share their test images does not serve one in which they do not."""
    settings = DatasetSettings(train_size=60, validation_size=40, test_size=50)
    study = study_of(["plain"]).model_copy(update={"dataset": settings, "vary": SPLIT})
    store = Store(tmp_path / "run")
    store.open(study, prepare_dataset(settings, SPLIT))
    assert store.prepared_dataset(settings, SPLIT) is not None
    assert store.prepared_dataset(settings, SPLIT_AND_TEST) is None
    changed = study.model_copy(update={"vary": SPLIT_AND_TEST})
    store.open(changed, prepare_dataset(settings, SPLIT_AND_TEST))
    saved = store.prepared_dataset(settings, SPLIT_AND_TEST)
    assert saved is not None
    assert saved.pool is not None
    assert saved.pool.includes_test
