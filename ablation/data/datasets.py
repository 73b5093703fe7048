"""A dataset that is ready for training: split, with its normalisation, class names and digest."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablation.data.arrays import Labels, RawImages
from ablation.data.readers import has_official_test_set, read_source
from ablation.errors import DatasetError
from ablation.files import atomic_writer
from ablation.grid.seeding import DEFAULT_VARY, Randomness, Stream
from ablation.grid.settings import DatasetSettings
from ablation.grid.trial import Trial


@dataclass(frozen=True)
class Part:
    """Some images and their labels.

    Attributes:
        images: (n, height, width, channels), uint8 or float32.
        labels: One class per image, (n,), int64; or several labels per image, (n, labels), uint8.
    """

    images: NDArray[Any]
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: NDArray[np.int64]) -> Part:
        """Return the images at ``indices``."""
        return Part(np.ascontiguousarray(self.images[indices]), self.labels[indices])


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

        Raises:
            DatasetError: The trial needs more training images than there are, or a pool that is missing.
        """
        drawn = self._drawn(trial.randomness) if trial.randomness.draws_images else self
        return drawn.first(trial.training.train_size)

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
        scale, offset = _normalisation(train.images, pool.normalise)
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
                f"training.train_size: cannot take {train_size:,} of {len(self.train):,} training images; a "
                "smaller dataset.validation_size or dataset.test_size leaves more of them."
            )
        train = Part(self.train.images[:train_size], self.train.labels[:train_size])
        return dataclasses.replace(self, train=train)

    def describe(self) -> str:
        """Describe the images in one line, for captions."""
        several = ", correct if all of their labels are (exact-match accuracy)" if self.is_multi_label else ""
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
            np.savez(stream, class_names=self.class_names, origin=self.origin, **arrays)

    @classmethod
    def load(cls, file: Path) -> Dataset:
        """Read a dataset from a file that `save` wrote."""
        with np.load(file, allow_pickle=False) as stored:
            train, val, test = (
                Part(stored[f"{part}_images"], stored[f"{part}_labels"]) for part in ("train", "val", "test")
            )
            names = tuple(str(name) for name in stored["class_names"])
            scale, offset, origin = stored["scale"], stored["offset"], str(stored["origin"])
            pool = None
            if "normalise" in stored:
                rest = Part(stored["rest_images"], stored["rest_labels"])
                pool = Pool(rest, str(stored["normalise"]), "pool_includes_test" in stored)
            return cls(train, val, test, names, scale, offset, origin, pool)

    def _arrays(self) -> dict[str, NDArray[Any]]:
        parts = {"train": self.train, "val": self.val, "test": self.test}
        if self.pool is not None:
            parts["rest"] = self.pool.rest
        arrays = {f"{name}_images": part.images for name, part in parts.items()}
        arrays |= {f"{name}_labels": part.labels for name, part in parts.items()}
        if self.pool is not None and self.pool.includes_test:
            arrays["pool_includes_test"] = np.array([True])
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
    raw = _read(settings, "test" in vary)
    everything = Part(raw.images, raw.labels)
    if raw.test_images is None or raw.test_labels is None:
        training, test = _split(everything, settings.test_size or 0.2, settings, raw, "test_size")
    else:
        training, test = everything, Part(raw.test_images, raw.test_labels)
        if settings.test_size is not None:
            _, test = _split(test, settings.test_size, settings, raw, "test_size")
    training, val = _split(training, settings.validation_size, settings, raw, "validation_size")
    rest = training.take(np.arange(0))
    if settings.train_size is not None:
        rest, training = _split(training, settings.train_size, settings, raw, "train_size")
    else:
        training = training.take(np.random.default_rng(settings.split_seed).permutation(len(training)))
    scale, offset = _normalisation(training.images, settings.normalise)
    pool = Pool(rest, settings.normalise, "test" in vary) if "split" in vary else None
    return Dataset(training, val, test, raw.class_names, scale, offset, raw.origin, pool)


def _read(settings: DatasetSettings, draws_test: bool) -> RawImages:
    """Read the images; if seeds draw test images, refuse a source with a test set of its own.

    If the name of the source says that it has one, nothing is downloaded.
    """
    if draws_test and has_official_test_set(settings):
        raise _official_test_set(settings.name)
    raw = read_source(settings)
    if draws_test and raw.test_images is not None:
        raise _official_test_set(raw.origin)
    return raw


def _official_test_set(source: str) -> DatasetError:
    return DatasetError(
        f"vary: test needs a dataset without a test set of its own, and {source} has one; remove test from "
        "vary, and all seeds share its test images."
    )


def _split(part: Part, size: float, settings: DatasetSettings, raw: RawImages, key: str) -> tuple[Part, Part]:
    """Split off ``size`` images, or that share of them if it is below 1.

    The split is stratified by class, or random if images have several labels.

    Returns:
        The remaining images, and the images that were split off.

    Raises:
        DatasetError: There are too few images for the split.
    """
    from sklearn.model_selection import train_test_split

    count = round(size * len(part)) if size < 1 else int(size)
    if count == len(part) and key != "validation_size":
        return part.take(np.arange(0)), part.take(
            np.random.default_rng(settings.split_seed).permutation(len(part))
        )
    if part.labels.ndim == 2:
        if not 0 < count < len(part):
            reason = "both parts of the split need at least one image."
            raise DatasetError(f"dataset.{key}: {_not_taken(count, len(part), reason)}")
        rest, taken = train_test_split(
            np.arange(len(part)), test_size=count, random_state=settings.split_seed
        )
        return part.take(rest), part.take(taken)
    classes = len(raw.class_names)
    smallest = int(np.bincount(part.labels, minlength=classes).min())
    if count < classes or len(part) - count < classes or smallest < 2:
        reason = (
            f"both parts of the split need at least one image of each of the {classes} classes, but the "
            f"smallest class has {smallest}."
        )
        raise DatasetError(f"dataset.{key}: {_not_taken(count, len(part), reason)}")
    rest, taken = train_test_split(
        np.arange(len(part)), test_size=count, random_state=settings.split_seed, stratify=part.labels
    )
    return part.take(rest), part.take(taken)


def _not_taken(count: int, available: int, reason: str) -> str:
    """Say that a part of a split cannot have this many images, and why."""
    if count > available:
        return f"cannot take {count:,} images: only {available:,} are available."
    return f"cannot take {count:,} of {available:,} images: {reason}"


def _normalisation(images: NDArray[Any], kind: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the scale and the offset per channel, both (channels,), computed on training images."""
    channels = images.shape[-1]
    unit = 1 / 255 if images.dtype == np.uint8 else 1.0
    if kind == "unit":
        return np.full(channels, unit, np.float32), np.zeros(channels, np.float32)
    mean = images.mean(axis=(0, 1, 2), dtype=np.float64)
    deviation = images.std(axis=(0, 1, 2), dtype=np.float64)
    deviation[deviation == 0] = 1.0
    return (1 / deviation).astype(np.float32), (-mean / deviation).astype(np.float32)
