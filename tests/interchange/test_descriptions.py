"""What describes a pack for other tools names what is there, and only what is known."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest

from ablation import Run
from ablation.data.datasets import Dataset, Part
from ablation.grid.dataset_settings import DatasetSettings
from ablation.interchange.crate import crate
from ablation.interchange.croissant import croissant
from ablation.interchange.environment import lock_text
from ablation.interchange.pack import pack_run


@pytest.fixture(scope="module")
def pack(finished_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack_run(finished_run, tmp_path_factory.mktemp("described") / "pack")


def read(file: Path) -> dict[str, Any]:
    return dict(json.loads(file.read_text("utf-8")))


def references(value: Any) -> Iterator[str]:
    """Yield what a value of JSON-LD refers to."""
    if isinstance(value, dict):
        if set(value) == {"@id"}:
            yield value["@id"]
        for inner in value.values():
            yield from references(inner)
    for item in value if isinstance(value, list) else ():
        yield from references(item)


def test_the_crate_describes_every_training_and_names_only_what_is_there(
    finished_run: Run, pack: Path
) -> None:
    graph = read(pack / "ro-crate-metadata.json")["@graph"]
    entities = {entity["@id"]: entity for entity in graph}
    assert len(entities) == len(graph)
    known = {*entities, "https://w3id.org/ro/crate/1.1"}
    assert set(references(graph)) <= known
    for name, entity in entities.items():
        if entity["@type"] in ("File", "Dataset"):
            assert (pack / unquote(name)).exists(), name
            assert (pack / unquote(name)).is_dir() == name.endswith("/")
    actions = [entity for entity in graph if entity["@type"] == "CreateAction"]
    assert len(actions) == len(finished_run.trials) + 1
    training = entities["#" + finished_run.trials[0].id]
    assert training["name"] == "Training of plain with seed 0"
    assert [unquote(name) for name in references(training["result"])] == [
        f"trials/{finished_run.trials[0].id}/"
    ]
    assert list(references(training["object"])) == ["study.json", "dataset.npz"]
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", training["startTime"])
    assert training["startTime"] <= training["endTime"] <= entities["./"]["datePublished"]
    instrument = entities[training["instrument"]["@id"]]
    assert instrument["softwareVersion"] == version("ablation-harness")
    assert f"https://keras.io/#{version('keras')}" in references(instrument["softwareRequirements"])
    assert not any("agent" in action or "author" in action for action in graph)  # a run does not know


def test_a_trial_that_failed_is_an_action_that_failed(finished_run: Run) -> None:
    run, first = Run(finished_run.folder), finished_run.trials[0].id
    failed = run.trial_results[first].model_copy(update={"status": "failed", "cause": "out of memory"})
    run.trial_results[first] = failed
    graph = crate(
        run,
        {"study.json": 1, "dataset.npz": 2, "report.html": 3},
        dict.fromkeys(("study.json", "dataset.npz", "report.html"), ""),
    )
    (action,) = (entity for entity in graph["@graph"] if entity["@id"] == f"#{first}")
    assert action["actionStatus"] == "http://schema.org/FailedActionStatus"
    assert action["error"] == "out of memory"


def test_the_data_set_is_described_with_its_parts_classes_and_digest(finished_run: Run, pack: Path) -> None:
    about = read(pack / "croissant.json")
    dataset = finished_run.dataset
    assert about["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    assert about["license"] == "https://creativecommons.org/licenses/by/4.0/"
    assert about["identifier"] == dataset.digest
    (images,) = about["distribution"]
    assert images["contentSize"] == f"{(pack / images['contentUrl']).stat().st_size} B"
    records = {record["name"]: record for record in about["recordSet"]}
    assert [row["splits/images"] for row in records["splits"]["data"]] == [60, 40, 50]
    assert [row["classes/name"] for row in records["classes"]["data"]] == list(dataset.class_names)
    with np.load(pack / "dataset.npz") as arrays:
        for name in ("training", "validation", "test"):
            image, label = (arrays[field["source"]["extract"]["column"]] for field in records[name]["field"])
            assert len(image) == len(label)
    assert records["test"]["field"][0]["description"] == "The image: 8 × 8 pixels, 1 channel, uint8."


def test_of_the_users_own_images_nothing_is_made_up(tiny_dataset: Dataset) -> None:
    several = np.eye(10, dtype=np.int64)[tiny_dataset.test.labels]
    own = dataclasses.replace(
        tiny_dataset, origin="Pictures in cats", train=Part(tiny_dataset.test.images, several)
    )
    settings = DatasetSettings(name="folder", path="/home/jane/cats")
    about = croissant(settings, own, "dataset.npz", 7, "00")
    assert not {"license", "url", "citeAs", "creator"} & set(about)
    assert about["description"].endswith(" Its license is not known here.")
    assert about["name"] == "Pictures in cats"
    assert "jane" not in json.dumps(about)
    labels = about["recordSet"][2]["field"][1]
    assert (
        labels["description"] == "The classes of the image: 1 for each class that it has, 0 for the others."
    )
    assert "references" not in labels


def test_the_lock_has_the_versions_that_trials_recorded_and_no_address(
    finished_run: Run, tmp_path: Path
) -> None:
    run = Run(finished_run.folder)
    for trial in run.trials[:5]:
        provenance = run.trial_results[trial.id].provenance | {"tensorflow": "2.99"}
        run.trial_results[trial.id] = run.trial_results[trial.id].model_copy(
            update={"provenance": provenance}
        )
    module = tmp_path / "mine.py"
    module.write_text("import hypothesis.strategies\nfrom . import other\n")
    comments, packages = [], {}
    for line in lock_text(run, [module]).splitlines():
        if line.startswith("#"):
            comments.append(line)
        else:
            name, _, number = line.partition("==")
            packages[name] = number
    assert comments == [
        "# The environment of the study tiny, without hashes: none were recorded.",
        f"# Python {run.trial_results[run.trials[0].id].provenance['python']}, as the trials recorded it.",
        "# As the trials recorded them: ablation-harness, keras, numpy, tensorflow.",
        "# The versions of the others are those that were installed where the run was packed.",
        f"# Several trials recorded other versions of tensorflow: {version('tensorflow')}.",
    ]
    assert packages["tensorflow"] == "2.99"
    assert packages["keras"] == version("keras")
    assert packages["hypothesis"] == version("hypothesis")  # the module imports it
    assert packages["protobuf"] == version("protobuf")  # TensorFlow needs it
    assert "pytest" not in packages
    assert list(packages) == sorted(packages)
    assert not re.search(r"://|--|@", lock_text(run))
