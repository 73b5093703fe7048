"""A dataset that is ready for training: split, with its normalisation, class names and digest."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablation.data.array_files import load_npz
from ablation.data.arrays import RawImages
from ablation.data.class_counts import ClassCounts, absent_class_notes, class_counts
from ablation.data.duplicates import duplicate_notes
from ablation.data.label_noise import noisy
from ablation.data.labels import Labels
from ablation.data.readers import has_official_test_set, read_source
from ablation.data.splitting import Part as Part
from ablation.data.splitting import normalisation, split_off
from ablation.errors import DatasetError
from ablation.files import atomic_writer
from ablation.grid.dataset_settings import DatasetSettings
from ablation.grid.seeding import DEFAULT_VARY, Randomness, Stream
from ablation.grid.trial import Trial


@dataclass(frozen=True)
class Pool:
    """What seeds need to draw their own images.

    Attributes:
        rest: The images that the fixed split leaves over. They make up the pool together with its training
            and validation images, and with its test images if seeds draw these, too.
        normalise: How images are normalised; see `DatasetSettings`.
        includes_test: Whether seeds draw their test images, too.
    """

    rest: Part
    normalise: str
    includes_test: bool = False


@dataclass(frozen=True)
class Dataset:
    """Training, validation and test images.

    A dataset with a pool is that of a study whose seeds draw their own images. Its parts are those of the
    fixed split, which tell how many images each seed draws; see `of`.

    Attributes:
        train: The images that models are fitted to, in a fixed shuffled order.
        val: The images that are measured after each epoch; they are taken from the training images.
        test: The images that are read once, at the end of a trial.
        class_names: One name per class, or per label if images have several.
        scale: The scale per channel, (channels,), float32: normalised = image * scale + offset.
        offset: The offset per channel, (channels,), float32.
        origin: A description of the images.
        pool: What seeds draw their own images from, or None if all seeds have the fixed split.
        places: Where the pool has the training images that a seed drew, (training images,), or None if they
            are those of the fixed split.
        label_noise: The share of training and validation labels that are wrong in every trial; see `of`.
        has_own_val: Whether the source has validation images of its own, so that none are split off.
        notes: What should be known about the images, in whole sentences.
    """

    train: Part
    val: Part
    test: Part
    class_names: tuple[str, ...]
    scale: NDArray[np.float32]
    offset: NDArray[np.float32]
    origin: str
    pool: Pool | None = None
    places: NDArray[np.int64] | None = None
    label_noise: float = 0.0
    has_own_val: bool = False
    notes: tuple[str, ...] = ()

    @property
    def train_probe(self) -> Part:
        """The fixed training images that are measured after each epoch, as many as validation images."""
        return Part(self.train.images[: len(self.val)], self.train.labels[: len(self.val)])

    @property
    def is_multi_label(self) -> bool:
        """Whether images have any number of labels, rather than one class each."""
        return self.train.labels.ndim == 2

    def words(self, label: Any) -> str:
        """Return the name of a class number, or the names of the labels in a row of 0 and 1."""
        if np.ndim(label) == 0:
            return self.class_names[int(label)]
        return ", ".join(name for name, there in zip(self.class_names, label, strict=True) if there) or "none"

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        height, width, channels = self.train.images.shape[1:]
        return height, width, channels

    @property
    def class_counts(self) -> ClassCounts:
        """The numbers of training, validation and test images of each class, or with each label, by its name.

        If seeds draw their own images, the numbers are those of the fixed split, which the draws follow.
        """
        return class_counts(self.class_names, (self.train, self.val, self.test))

    @property
    def digest(self) -> str:
        """A hash of everything in the dataset that a trained model can depend on."""
        digest = hashlib.sha256()
        for array in self._arrays().values():
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()[:16]

    def normalise(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """Normalise images as training does. A saved model expects images that are normalised like this."""
        return images.astype(np.float32) * self.scale + self.offset

    def of(self, trial: Trial) -> Dataset:
        """Return the images that a trial is trained, validated and tested on, and their normalisation.

        Label noise is in the labels of the training and validation images, and never in those of the test
        images. Unless the seed draws it, it is the same for every trial.

        Raises:
            DatasetError: The trial needs more training images than there are, or a pool that is missing.
        """
        drawn = self._drawn(trial.randomness) if trial.randomness.draws_images else self
        share = trial.training.label_noise or self.label_noise
        noisy_parts = drawn._with_noise(share, trial.randomness) if share else drawn
        return noisy_parts.first(trial.training.train_size)

    def _with_noise(self, share: float, randomness: Randomness) -> Dataset:
        def with_noise(part: Part, name: str) -> Part:
            seed = randomness.derive("label_noise", name)
            return Part(part.images, noisy(part.labels, share, len(self.class_names), seed))

        train, val = with_noise(self.train, "train"), with_noise(self.val, "val")
        return dataclasses.replace(self, train=train, val=val)

    def _drawn(self, randomness: Randomness) -> Dataset:
        """Return the dataset with as many images in each part, drawn from the pool by a seed.

        Unless the seed draws test images, too, these stay the same, so that predictions of different seeds
        can be compared image by image.
        """
        pool = self._pool_of(randomness)
        images, labels = (
            np.concatenate([getattr(part, name) for part in self._pooled]) for name in ("images", "labels")
        )
        everything, left = Part(images, labels), np.arange(len(labels))
        test = self.test
        if pool.includes_test:
            tested = self._tested(randomness, labels)
            test, left = everything.take(tested), np.setdiff1d(left, tested)
        order = left[randomness.image_order(labels[left])]
        of_val, places = np.split(order[: len(self.val) + len(self.train)], [len(self.val)])
        train, val = everything.take(places), everything.take(of_val)
        scale, offset = normalisation(train.images, pool.normalise)
        of_seed = dataclasses.replace(self, train=train, val=val, test=test, pool=None, places=places)
        return dataclasses.replace(of_seed, scale=scale, offset=offset)

    def test_labels_of(self, randomness: Randomness) -> Labels:
        """Return the labels of the images that a trial with these random streams is tested on."""
        if not randomness.draws_test_images:
            return self.test.labels
        self._pool_of(randomness)
        labels = np.concatenate([part.labels for part in self._pooled])
        return labels[self._tested(randomness, labels)]

    def _pool_of(self, randomness: Randomness) -> Pool:
        """Return the pool that a trial draws its images from.

        Raises:
            DatasetError: There is no pool, or not one of the parts that the trial draws.
        """
        if self.pool is None or self.pool.includes_test != randomness.draws_test_images:
            raise DatasetError("a trial with its own split has no pool of images to draw from.")
        return self.pool

    @property
    def _pooled(self) -> tuple[Part, ...]:
        """The parts of the fixed split that make up the pool, in its order."""
        if self.pool is None:
            return ()
        tested = (self.test,) if self.pool.includes_test else ()
        return (self.train, self.val, self.pool.rest, *tested)

    def _tested(self, randomness: Randomness, labels: Labels) -> NDArray[np.int64]:
        """Return where the pool has the test images that a seed draws, as many as the fixed split has."""
        return randomness.image_order(labels, "test")[: len(self.test)]

    def first(self, train_size: int | None) -> Dataset:
        """Return the dataset with only the first ``train_size`` training images, or all if it is None.

        Raises:
            DatasetError: The dataset has fewer training images.
        """
        if train_size is None or train_size == len(self.train):
            return self
        if train_size > len(self.train):
            raise DatasetError(
                f"cannot take {train_size:,} of {len(self.train):,} training images; a smaller "
                "dataset.validation_size or dataset.test_size leaves more of them.",
                "training.train_size",
                train_size,
            )
        train = Part(self.train.images[:train_size], self.train.labels[:train_size])
        return dataclasses.replace(self, train=train)

    def describe(self) -> str:
        """Describe the images in one line, for captions."""
        several = ", correct if all of their labels are (exact-match accuracy)" if self.is_multi_label else ""
        if self.label_noise:
            several += f"; {self.label_noise:.0%} of the training and validation labels are wrong on purpose"
        train, val, test = (f"{len(part):,}" for part in (self.train, self.val, self.test))
        if self.pool is None:
            return f"{self.origin}: {train} training, {val} validation and {test} test images{several}"
        pool = sum(map(len, self._pooled))
        if self.pool.includes_test:
            return (
                f"{self.origin}: {train} training, {val} validation and {test} test images, which each seed "
                f"draws from {pool:,}{several}"
            )
        return (
            f"{self.origin}: {train} training and {val} validation images, which each seed draws from "
            f"{pool:,}, and {test} test images{several}"
        )

    def save(self, file: Path) -> None:
        """Write the dataset as one .npz file, atomically."""
        with atomic_writer(file) as stream:
            arrays: dict[str, Any] = self._arrays()
            if self.pool is not None:
                arrays["normalise"] = self.pool.normalise
            arrays |= {"notes": self.notes, "has_own_val": self.has_own_val}
            np.savez(stream, class_names=self.class_names, origin=self.origin, **arrays)

    @classmethod
    def load(cls, file: Path) -> Dataset:
        """Read a dataset from a file that `save` wrote.

        Raises:
            OSError, ValueError: The file cannot be read, or is damaged.
        """
        try:
            return cls._of(load_npz(file))
        except (OSError, ValueError):
            raise
        except Exception as error:  # a damaged archive raises whatever reading its parts raises
            raise ValueError(f"{file} is damaged") from error

    @classmethod
    def _of(cls, stored: Mapping[str, NDArray[Any]]) -> Dataset:
        train, val, test = (
            Part(stored[f"{part}_images"], stored[f"{part}_labels"]) for part in ("train", "val", "test")
        )
        names = tuple(str(name) for name in stored["class_names"])
        scale, offset, origin = stored["scale"], stored["offset"], str(stored["origin"])
        pool = None
        if "normalise" in stored:
            rest = Part(stored["rest_images"], stored["rest_labels"])
            pool = Pool(rest, str(stored["normalise"]), "pool_includes_test" in stored)
        noise = float(stored["label_noise"]) if "label_noise" in stored else 0.0
        has_own_val = "has_own_val" in stored and bool(stored["has_own_val"])
        notes = tuple(str(note) for note in stored["notes"]) if "notes" in stored else ()
        images = train, val, test, names, scale, offset, origin, pool
        return cls(*images, label_noise=noise, has_own_val=has_own_val, notes=notes)

    def _arrays(self) -> dict[str, NDArray[Any]]:
        parts = {"train": self.train, "val": self.val, "test": self.test}
        if self.pool is not None:
            parts["rest"] = self.pool.rest
        arrays = {f"{name}_images": part.images for name, part in parts.items()}
        arrays |= {f"{name}_labels": part.labels for name, part in parts.items()}
        if self.pool is not None and self.pool.includes_test:
            arrays["pool_includes_test"] = np.array([True])
        if self.label_noise:
            arrays["label_noise"] = np.array(self.label_noise)
        return arrays | {"scale": self.scale, "offset": self.offset}


def prepare_dataset(settings: DatasetSettings, vary: tuple[Stream, ...] = DEFAULT_VARY) -> Dataset:
    """Read the images, split them, and determine the normalisation.

    Args:
        settings: Which images, and how they are split and normalised.
        vary: The random streams that follow the seed; with ``split``, the dataset keeps the pool that seeds
            draw their own images from, and with ``test``, the pool includes the test images.

    Raises:
        DatasetError: The images are missing, not usable, or too few for the split; or seeds should draw test
            images, but the source has a test set of its own.
    """
    raw = _read(settings, vary)
    classes, training, taken = len(raw.class_names), Part(raw.images, raw.labels), dict[str, int]()
    if raw.test_images is None or raw.test_labels is None:
        training, test = split_off(training, settings.test_size or 0.2, settings, classes, "test_size")
        taken["test"] = len(test)
    else:
        test = Part(raw.test_images, raw.test_labels)
        if settings.test_size is not None:
            _, test = split_off(test, settings.test_size, settings, test.classes, "test_size")
    if raw.val_images is None or raw.val_labels is None:
        size = settings.validation_size
        training, val = split_off(training, size, settings, classes, "validation_size", taken)
        taken["validation"] = len(val)
    else:
        val = Part(raw.val_images, raw.val_labels)
        if 1 <= settings.validation_size != len(val):
            _, val = split_off(val, settings.validation_size, settings, val.classes, "validation_size")
    rest = training.take(np.arange(0))
    if settings.train_size is not None:
        rest, training = split_off(training, settings.train_size, settings, classes, "train_size", taken)
    else:
        training = training.take(np.random.default_rng(settings.split_seed).permutation(len(training)))
    scale, offset = normalisation(training.images, settings.normalise)
    pool = Pool(rest, settings.normalise, "test" in vary) if "split" in vary else None
    images = training, val, test, raw.class_names, scale, offset, raw.origin, pool
    has_own_val = raw.val_images is not None
    prepared = Dataset(*images, label_noise=settings.label_noise, has_own_val=has_own_val)
    return dataclasses.replace(prepared, notes=(*raw.notes, *_notes(prepared, settings)))


def _notes(dataset: Dataset, settings: DatasetSettings) -> list[str]:
    """Return what should be known about the images of a dataset."""
    notes = absent_class_notes(dataset.class_counts)
    if dataset.has_own_val and settings.validation_size not in (0.2, len(dataset.val)):
        notes.append(
            f"dataset.validation_size: {settings.validation_size:g} has no effect: the dataset has "
            "validation images of its own, and all of them are used. To use fewer, give a whole number."
        )
    parts: dict[str, Sequence[Part]] = {"training": (dataset.train,), "validation": (dataset.val,)}
    if dataset.pool is not None:
        parts = {"pooled": dataset._pooled}
    if dataset.pool is None or not dataset.pool.includes_test:
        parts["test"] = (dataset.test,)
    return [*notes, *duplicate_notes(parts)]


def _read(settings: DatasetSettings, vary: tuple[Stream, ...]) -> RawImages:
    """Read the images; refuse a source with a part of its own that seeds should draw.

    If the name of the source says that it has one, nothing is downloaded.
    """
    if "test" in vary and has_official_test_set(settings):
        raise _official_test_set(settings.name)
    raw = read_source(settings)
    if "test" in vary and raw.test_images is not None:
        raise _official_test_set(raw.origin)
    if "split" in vary and raw.val_images is not None:
        raise DatasetError(
            f"split needs a dataset without a validation set of its own, and {raw.origin} has one; "
            "remove split from vary, or move the validation images to the training images.",
            "vary",
        )
    return raw


def _official_test_set(source: str) -> DatasetError:
    return DatasetError(
        f"test needs a dataset without a test set of its own, and {source} has one; remove test from "
        "vary, and all seeds share its test images.",
        "vary",
    )
