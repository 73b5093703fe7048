"""The data set of a packed run, described in Croissant: what it is, how it was split, and its file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ablation.data.datasets import Dataset
from ablation.grid.dataset_settings import DatasetSettings
from ablation.grid.value_text import counted

CROISSANT = "croissant.json"
_NAMESPACE = "http://mlcommons.org/croissant/"
_TERMS = (
    "citeAs", "column", "extract", "field", "fileObject", "fileProperty", "fileSet", "format", "includes",
    "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references", "regex",
    "repeated", "replace", "samplingRate", "separator", "source", "subField", "transform",
    "equivalentProperty",
)  # fmt: skip
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": _NAMESPACE,
    "rai": f"{_NAMESPACE}RAI/",
    "dct": "http://purl.org/dc/terms/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{term: f"cr:{term}" for term in _TERMS},
}
_SPLITS = {"train": "training", "val": "validation", "test": "test"}
_KINDS = {"train": "cr:TrainingSplit", "val": "cr:ValidationSplit", "test": "cr:TestSplit"}

# What the authors of well-known data sets say of them. CIFAR comes without a license.
_KNOWN: dict[str, dict[str, str]] = {
    "digits": {
        "name": "Optical Recognition of Handwritten Digits, as scikit-learn has it",
        "url": "https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
        "license": "https://creativecommons.org/licenses/by/4.0/",
        "citeAs": "E. Alpaydin, C. Kaynak (1998). Optical Recognition of Handwritten Digits. UCI Machine "
        "Learning Repository. doi:10.24432/C50P49",
    },
    "cifar10": {
        "name": "CIFAR-10",
        "url": "https://www.cs.toronto.edu/~kriz/cifar.html",
        "citeAs": "A. Krizhevsky (2009). Learning Multiple Layers of Features from Tiny Images.",
    },
    "cifar100": {
        "name": "CIFAR-100",
        "url": "https://www.cs.toronto.edu/~kriz/cifar.html",
        "citeAs": "A. Krizhevsky (2009). Learning Multiple Layers of Features from Tiny Images.",
    },
    "mnist": {
        "name": "MNIST",
        "license": "https://creativecommons.org/licenses/by-sa/3.0/",
        "citeAs": "Y. LeCun, L. Bottou, Y. Bengio, P. Haffner (1998). Gradient-Based Learning Applied to "
        "Document Recognition. Proceedings of the IEEE 86(11).",
    },
    "fashion_mnist": {
        "name": "Fashion-MNIST",
        "license": "https://opensource.org/license/mit",
        "citeAs": "H. Xiao, K. Rasul, R. Vollgraf (2017). Fashion-MNIST: a Novel Image Dataset for "
        "Benchmarking Machine Learning Algorithms. arXiv:1708.07747",
    },
}  # fmt: skip


def croissant(
    settings: DatasetSettings, dataset: Dataset, file: str, size: int, sha256: str
) -> dict[str, Any]:
    """Return the description of a data set as JSON-LD.

    Only what is known is in it: of the user's own images, no license, no address and no authors.

    Args:
        settings: The dataset as the study names it.
        dataset: The images.
        file: The path of their file in the pack.
        size: Its size in bytes.
        sha256: Its SHA-256.
    """
    known = _KNOWN.get(settings.name, {})
    license_note = "" if "license" in known else " Its license is not known here."
    images = {
        "@type": "cr:FileObject",
        "@id": file,
        "name": file,
        "description": "Arrays of NumPy, without pickles: the images and the labels of each part.",
        "contentUrl": file,
        "contentSize": f"{size} B",
        "encodingFormat": "application/x-npz",
        "sha256": sha256,
    }
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": f"{_NAMESPACE}1.0",
        "name": dataset.origin,
        **known,
        "description": f"{dataset.describe()}.{license_note}",
        "identifier": dataset.digest,
        "distribution": [images],
        "recordSet": [_splits(dataset), _classes(dataset), *_parts(dataset, file)],
    }


def _splits(dataset: Dataset) -> dict[str, Any]:
    """Return the parts of the data set, each with the number of its images."""
    rows = [
        {"splits/name": name, "splits/kind": _KINDS[part], "splits/images": len(getattr(dataset, part))}
        for part, name in _SPLITS.items()
    ]
    fields = [
        _field("splits/name", "sc:Text", "The name of the part."),
        _field("splits/kind", "sc:URL", "What the part is for."),
        _field("splits/images", "sc:Integer", "The number of its images."),
    ]
    return _record_set(
        "splits", "The parts of the data set.", fields, dataType="cr:Split", key="splits/name", data=rows
    )


def _classes(dataset: Dataset) -> dict[str, Any]:
    """Return the classes in the order of the labels."""
    rows = [{"classes/label": k, "classes/name": name} for k, name in enumerate(dataset.class_names)]
    fields = [
        _field("classes/label", "sc:Integer", "The label."),
        _field("classes/name", "sc:Text", "The name of the class."),
    ]
    return _record_set("classes", "The classes by their labels.", fields, key="classes/label", data=rows)


def _parts(dataset: Dataset, file: str) -> Iterator[dict[str, Any]]:
    """Yield the records of each part: an image and its label."""
    height, width, channels = dataset.image_shape
    labels = (
        "The classes of the image: 1 for each class that it has, 0 for the others."
        if dataset.is_multi_label
        else "The label of the image's class."
    )
    for part, name in _SPLITS.items():
        kind = getattr(dataset, part).images.dtype
        about = f"The image: {height} × {width} pixels, {counted(channels, 'channel')}, {kind}."
        fields = [
            _field(f"{name}/image", "sc:ImageObject", about, (file, f"{part}_images")),
            _field(f"{name}/label", "sc:Integer", labels, (file, f"{part}_labels")),
        ]
        if not dataset.is_multi_label:
            fields[1]["references"] = {"field": {"@id": "classes/label"}}
        yield _record_set(name, f"The {name} images.", fields)


def _record_set(
    name: str, description: str, fields: list[dict[str, Any]], key: str = "", **rest: Any
) -> dict[str, Any]:
    keys = {"key": {"@id": key}} if key else {}
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": description,
        **keys,
        "field": fields,
        **rest,
    }


def _field(
    name: str, data_type: str, description: str, array: tuple[str, str] | None = None
) -> dict[str, Any]:
    """Return a field; ``array`` is the file that it comes from, and the name of the array in it."""
    field = {
        "@type": "cr:Field",
        "@id": name,
        "name": name,
        "description": description,
        "dataType": data_type,
    }
    if array is None:
        return field
    return field | {"source": {"fileObject": {"@id": array[0]}, "extract": {"column": array[1]}}}
