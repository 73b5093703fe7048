"""Classes and parts are found by the names of folders, in a CSV file, or in arrays; nothing is left out in silence."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ablation.data.arrays import RawImages
from ablation.data.datasets import Dataset, prepare_dataset
from ablation.data.readers import read_source
from ablation.errors import DatasetError
from ablation.grid.dataset_settings import DatasetSettings
from ablation.grid.seeding import DEFAULT_VARY


def fill(folder: Path, count: int, suffix: str = ".png", first: int = 0) -> None:
    """Write as many pictures, all of them different, into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(first, first + count):
        Image.new("RGB", (2, 1), (len(str(folder)) % 256, k, k)).save(folder / f"{k}{suffix}", "PNG")


def tree(root: Path, counts: dict[str, int]) -> None:
    """Write pictures into folders, which have these numbers of them."""
    for number, (folder, count) in enumerate(counts.items()):
        fill(root / folder, count, first=10 * number)


def read(root: Path, **settings: Any) -> RawImages:
    return read_source(DatasetSettings(name="folder", path=str(root), **settings))


def sizes(found: RawImages) -> dict[str, list[int]]:
    """Return the number of images per class of each part."""
    parts = {"train": found.labels, "val": found.val_labels, "test": found.test_labels}
    return {
        part: np.bincount(labels, minlength=len(found.class_names)).tolist()
        for part, labels in parts.items()
        if labels is not None
    }


ALL = {"train": [4, 3], "val": [2, 1], "test": [1, 2]}


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [
        ("train", "val", "test"),
        ("Train", "Valid", "Test"),
        ("TRAINING", "VALIDATION", "TESTING"),
        ("training_set", "validation_set", "test_set"),
        ("trainset", "devset", "evalset"),
        ("train-images", "dev", "eval"),
        ("Training Data", "val2017", "Evaluation"),
        ("seg_train", "seg_val", "seg_test"),
        ("train_cropped", "valid_cropped", "test_cropped"),
    ],
)
def test_parts_have_any_of_their_usual_names(train: str, val: str, test: str, tmp_path: Path) -> None:
    names = {"train": train, "val": val, "test": test}
    tree(
        tmp_path,
        {f"{names[part]}/{label}": n for part, of in ALL.items() for label, n in zip("ab", of, strict=True)},
    )
    found = read(tmp_path)
    assert sizes(found) == ALL
    assert found.class_names == ("a", "b")
    assert found.notes == ()


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        ({"data/train/a": 2, "data/train/b": 2, "data/test/a": 1, "data/test/b": 1}, {"train": [2, 2], "test": [1, 1]}),
        ({"train/train/a": 2, "train/train/b": 2, "test/test/a": 1}, {"train": [2, 2], "test": [1, 0]}),
        ({"seg_train/seg_train/a": 2, "seg_train/seg_train/b": 2, "seg_test/seg_test/a": 1}, {"train": [2, 2], "test": [1, 0]}),
        ({"x/y/a": 2, "x/y/b": 3}, {"train": [2, 3]}),
        ({"train/a": 2, "train/b": 3}, {"train": [2, 3]}),
        ({"a/train": 2, "a/test": 1, "b/train": 3, "b/test": 2}, {"train": [2, 3], "test": [1, 2]}),
        ({"a/2019": 2, "a/2020": 1, "b": 3}, {"train": [3, 3]}),
        ({"train/a": 2, "train/b": 3, "valid/a": 1, "valid/b": 1}, {"train": [2, 3], "val": [1, 1]}),
    ],
)  # fmt: skip
def test_parts_and_classes_are_found_at_any_depth(
    folders: dict[str, int], expected: dict[str, list[int]], tmp_path: Path
) -> None:
    tree(tmp_path, folders)
    found = read(tmp_path)
    assert sizes(found) == expected
    assert found.class_names == ("a", "b")


def test_classes_that_are_named_like_parts_are_classes_where_they_are_listed(tmp_path: Path) -> None:
    tree(tmp_path, {"train": 2, "test": 3, "plane": 1})
    with pytest.raises(DatasetError) as error:
        read(tmp_path)
    assert str(error.value) == (
        f"{tmp_path / 'test'} contains pictures, but no folder per class, so they have no labels. If the folders in "
        f"{tmp_path} are classes, list them under dataset.class_names; a file of labels needs `name: csv`."
    )
    found = read(tmp_path, class_names=("train", "test", "plane"))
    assert (found.class_names, sizes(found)) == (("train", "test", "plane"), {"train": [2, 3, 1]})


def test_classes_with_a_word_of_parts_in_their_names_are_classes(tmp_path: Path) -> None:
    tree(tmp_path, {"train_station": 2, "test_tube": 3})
    assert read(tmp_path).class_names == ("test_tube", "train_station")


def test_a_class_that_is_named_like_one_part_is_a_class(tmp_path: Path) -> None:
    """CIFAR-100 has a class `train`."""
    tree(tmp_path, {"train": 2, "boat": 3})
    assert read(tmp_path).class_names == ("boat", "train")


def test_two_folders_for_one_part_are_refused(tmp_path: Path) -> None:
    tree(tmp_path, {"train/a": 1, "test/a": 1, "eval/a": 1})
    with pytest.raises(DatasetError) as error:
        read(tmp_path)
    assert str(error.value) == (
        f"{tmp_path} contains the folders eval and test, whose names both mean test images; rename or remove one "
        "of them."
    )


def test_what_is_not_read_beside_the_parts_is_named(tmp_path: Path) -> None:
    tree(tmp_path, {"train/a": 2, "train/b": 2, "test/a": 1, "test/b": 1, "test": 1, "unlabelled": 2})
    assert read(tmp_path).notes == (
        "Beside the parts (test, train), these folders are not read: unlabelled.",
        "1 picture outside the class folders is not read: test/40.png.",
    )


def test_classes_that_look_like_parts_are_said(tmp_path: Path) -> None:
    tree(tmp_path, {"learning/a": 2, "learning/b": 2, "holdout/a": 2, "holdout/b": 2})
    found = read(tmp_path)
    assert found.class_names == ("holdout", "learning")
    assert found.notes == (
        "The classes holdout, learning contain folders of the same names (a, b). If these are the classes, rename "
        "the folders around them to train, val and test.",
    )


BELOW = (
    "The folder ROOT/{} is named like {} images, but the folders around it are not arranged accordingly. Expected folders of "
    "the parts (train, val, test) that contain the classes, or classes that contain nothing but such folders. Rename or "
    "move it."
)
BESIDE = (
    "ROOT contains the folders {}, and {} is named like a part of a dataset. Expected the folders train and val, test or "
    "both, each with one folder per class. Rename or remove folders accordingly; or, if all are classes, list them "
    "under dataset.class_names."
)


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (["cat/train", "cat/test", "dog/train", "dog/test", "bird"], BELOW.format("cat/test", "test")),
        (["cat/train", "cat/test", "cat", "dog/train"], BELOW.format("cat/test", "test")),
        (["cat/train", "cat/holdout", "dog/train", "dog/holdout"], BELOW.format("cat/train", "training")),
        (["cat/test", "dog"], BELOW.format("cat/test", "test")),
        (["train/cat/val", "train/dog", "test/cat"], BELOW.format("train/cat/val", "validation")),
        (
            ["Data/train/a", "Data/train/b", "Data/test/a", "Data/test/b", "docs"],
            BELOW.format("Data/test", "test") + " If ROOT/Data contains the whole dataset, set dataset.path to it.",
        ),
        (["train/a", "train/b", "holdout/a", "holdout/b"], BESIDE.format("holdout, train", "train")),
        (["val/a", "val/b", "test/a", "test/b"], BESIDE.format("test, val", "test")),
        (["train/a", "train/b", "unlabelled"], BESIDE.format("train, unlabelled", "train")),
        (["seg_train/a", "seg_train/b", "seg_test/a", "seg_pred"], BESIDE.format("seg_pred, seg_test, seg_train", "seg_test")),
        (
            ["train/a", "train/b", "test"],
            "ROOT/test contains pictures, but no folder per class, so they have no labels. Move test out of ROOT, or sort its "
            "pictures into classes. If the folders in ROOT are classes, list them under dataset.class_names; a file of "
            "labels needs `name: csv`.",
        ),
        (
            [""],
            "ROOT contains no folder of images of a class; expected two or more folders of images, one per class. 1 picture "
            "outside the class folders is not read: 0.png.",
        ),
        (
            ["train_cats", "train_dogs", "test_cats"],
            "ROOT contains the folders test_cats and train_cats, whose names differ in the part alone. Expected folders train "
            "and test, with one folder per class in each. Move the folders accordingly; or, if they are classes, list all "
            "classes under dataset.class_names.",
        ),
        (
            ["cat/cat_train", "cat/cat_test", "dog"],
            "ROOT contains the folders cat_test and cat_train, whose names differ in the part alone. Expected folders train "
            "and test, with one folder per class in each. Move the folders accordingly; or, if they are classes, list all "
            "classes under dataset.class_names.",
        ),
        (
            ["cat", "dog", "more/cat"],
            "ROOT: 'more' and 'cat' are classes, and the folder more/cat belongs to both. Move or rename it; or, if it is "
            "meant, list all classes under dataset.class_names.",
        ),
        (["cat"], "ROOT contains images of 1 class, cat; expected two or more folders of images, one per class."),
    ],
)  # fmt: skip
def test_parts_that_are_not_arranged_as_parts_are_refused(
    folders: list[str], message: str, tmp_path: Path
) -> None:
    tree(tmp_path, dict.fromkeys(folders, 1))
    with pytest.raises(DatasetError) as error:
        read(tmp_path)
    assert str(error.value) == message.replace("ROOT", str(tmp_path))


def test_listed_classes_may_be_named_like_parts_and_others_need_no_parts(tmp_path: Path) -> None:
    tree(tmp_path / "1", {"train/2019": 1, "boat": 2})
    assert sizes(read(tmp_path / "1", class_names=("train", "boat"))) == {"train": [1, 2]}
    tree(tmp_path / "2", {"cat/train": 1, "cat/test": 2, "dog/train": 3, "bird": 1})
    found = read(tmp_path / "2", class_names=("cat", "dog"))
    assert sizes(found) == {"train": [1, 3], "test": [2, 0]}
    assert found.notes == ("Pictures of classes that class_names does not list are left out: bird (1).",)


def test_folders_inside_classes_are_named(tmp_path: Path) -> None:
    tree(tmp_path, {"train/cat/big": 1, "train/cat": 1, "train/dog/2019/may": 1, "test/cat": 1})
    assert read(tmp_path).notes == (
        "Pictures in folders inside a class are read as pictures of that class: train/cat/big, train/dog/2019/may.",
    )


@pytest.mark.unix
@pytest.mark.skipif(getattr(os, "geteuid", int)() == 0, reason="root can read every folder")
def test_a_folder_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    tree(tmp_path, {"a": 1, "b": 1, "c": 1})
    (tmp_path / "c").chmod(0)
    with pytest.raises(DatasetError) as error:
        read(tmp_path)
    (tmp_path / "c").chmod(0o700)
    assert str(error.value) == f"The folder {tmp_path / 'c'} cannot be read: Permission denied."


def test_folders_without_pictures_are_named(tmp_path: Path) -> None:
    tree(tmp_path, {"train/a": 2, "train/b": 2})
    (tmp_path / "train" / "c").mkdir()
    (tmp_path / "test").mkdir()
    assert read(tmp_path).notes == ("2 folders contain no pictures and are not read: test, train/c.",)


def test_hidden_files_and_those_of_the_system_are_neither_classes_nor_images(tmp_path: Path) -> None:
    tree(
        tmp_path,
        {
            "a": 2,
            "b": 2,
            ".ipynb_checkpoints": 1,
            "__MACOSX/a": 2,
            "a/.hidden": 1,
            "@eaDir": 1,
            "node_modules/a": 1,
            "~backup": 1,
            "b/__pycache__": 1,
        },
    )
    (tmp_path / "a" / "._0.png").write_bytes(b"of a Mac")
    (tmp_path / "a" / "Thumbs.db").write_bytes(b"of Windows")
    found = read(tmp_path)
    assert (found.class_names, sizes(found), found.notes) == (("a", "b"), {"train": [2, 2]}, ())


def test_files_that_are_no_pictures_are_counted_and_named(tmp_path: Path) -> None:
    tree(tmp_path, {"a": 2, "b": 2})
    fill(tmp_path / "a", 2, ".JPEG2000", first=50)
    fill(tmp_path / "b", 1, ".jfif", first=60)
    (tmp_path / "b" / "notes.txt").write_text("no picture")
    (tmp_path / "README.txt").write_text("of the whole folder")
    found = read(tmp_path)
    assert sizes(found) == {"train": [2, 3]}
    assert found.notes == (
        "3 files are not pictures of a known format and are not read: 2 .JPEG2000 (a/50.JPEG2000), 1 .txt (b/notes.txt).",
    )


def test_a_folder_of_no_known_pictures_says_what_it_holds(tmp_path: Path) -> None:
    for label in "ab":
        (tmp_path / label).mkdir()
        (tmp_path / label / "scan.dcm").write_bytes(b"a scan")
    with pytest.raises(DatasetError) as error:
        read(tmp_path)
    assert str(error.value) == (
        f"{tmp_path} contains no folder of images of a class; expected two or more folders of images, one per class. 2 "
        "files are not pictures of a known format and are not read: 2 .dcm (a/scan.dcm). 2 folders contain no pictures "
        "and are not read: a, b."
    )


@pytest.mark.parametrize(("name", "hint"), [("c", ""), ("A", " Did you mean 'a'?")])
@pytest.mark.parametrize(("part", "word"), [("val", "validation"), ("test", "test")])
def test_a_class_without_training_images_is_refused(
    name: str, hint: str, part: str, word: str, tmp_path: Path
) -> None:
    tree(tmp_path, {"train/a": 2, "train/b": 2, f"{part}/a": 1, f"{part}/b": 1, f"{part}/{name}": 3})
    with pytest.raises(DatasetError) as error:
        read(tmp_path)
    assert str(error.value) == (
        f"{tmp_path}: the class '{name}' has 3 {word} pictures, but no training pictures.{hint} To leave it out, list "
        "the other classes under dataset.class_names."
    )
    found = read(tmp_path, class_names=("b", "a"))
    assert (found.class_names, sizes(found)["train"]) == (("b", "a"), [2, 2])
    assert found.notes == (f"Pictures of classes that class_names does not list are left out: {name} (3).",)


def test_a_list_of_classes_chooses_and_orders_them(tmp_path: Path) -> None:
    tree(tmp_path, {"a": 1, "b": 2, "c": 3})
    found = read(tmp_path, class_names=("c", "a"))
    assert (found.class_names, sizes(found)) == (("c", "a"), {"train": [3, 1]})
    assert found.notes == ("Pictures of classes that class_names does not list are left out: b (2).",)
    with pytest.raises(
        DatasetError, match=r"dataset.class_names: .* has no class 'catt'. Valid names: a, b, c"
    ):
        read(tmp_path, class_names=("catt", "a"))


def of_csv(folder: Path, text: str, **settings: Any) -> RawImages:
    tree(folder, {"pics": 4})
    (folder / "labels.csv").write_text(text, "utf-8")
    return read_source(DatasetSettings(name="csv", path=str(folder / "labels.csv"), **settings))


@pytest.mark.parametrize(
    "text",
    [
        "file,label,split\npics/0.png,cat,train\npics/1.png,dog,train\npics/2.png,dog,val\npics/3.png,cat,test\n",
        "\ufefflabel;image path;subset\ncat;pics/0.png;Training\ndog;pics/1.png;train\ndog;pics/2.png;valid\n"
        "cat;pics/3.png;testing\n\n",
    ],
)
def test_a_csv_file_names_pictures_labels_and_parts(text: str, tmp_path: Path) -> None:
    found = of_csv(tmp_path, text)
    assert found.class_names == ("cat", "dog")
    assert sizes(found) == {"train": [1, 1], "val": [0, 1], "test": [1, 0]}
    assert found.test_images is not None
    assert found.test_images[0, 0, 0].tolist()[1] == 3
    assert found.origin == "labels.csv"


def test_columns_of_a_csv_file_that_are_not_read_are_named(tmp_path: Path) -> None:
    """The class might be the label that is meant."""
    text = '"file", "label", fold, class\n"pics/0.png", "cat", 1, 1\n"pics/1.png", "dog", 2, 2\n'
    found = of_csv(tmp_path, text)
    assert found.class_names == ("cat", "dog")
    assert found.notes == (
        "Columns of labels.csv that are not read: fold, class. The labels are those of the column label. If a column "
        "says which part of the data an image belongs to, name it `split`.",
    )


@pytest.mark.parametrize("column", ["set", "Subset", "usage", "phase", "partition"])
def test_the_column_of_parts_has_any_of_its_usual_names(column: str, tmp_path: Path) -> None:
    rows = ("pics/0.png,cat,Training", "pics/1.png,dog,train", "pics/2.png,dog,Test")
    found = of_csv(tmp_path, "\n".join([f"file,label,{column}", *rows]))
    assert sizes(found) == {"train": [1, 1], "test": [0, 1]}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8"])
@pytest.mark.parametrize("separator", ["|", "\t"])
def test_a_csv_file_may_have_any_of_the_usual_separators_and_encodings(
    separator: str, encoding: str, tmp_path: Path
) -> None:
    """And a first column without a name, as pandas writes it."""
    tree(tmp_path, {"pics": 2})
    rows = (["", "file", "label"], ["0", "pics/0.png", "Käfer"], ["1", "pics/1.png", "a, b"])
    (tmp_path / "l.csv").write_text("\n" + "\n".join(map(separator.join, rows)), encoding)
    found = read_source(DatasetSettings(name="csv", path=str(tmp_path / "l.csv")))
    assert (found.class_names, found.notes) == (("Käfer", "a, b"), ())


def test_numbers_as_labels_of_a_csv_file_are_in_the_order_of_numbers(tmp_path: Path) -> None:
    found = of_csv(tmp_path, "file,label\npics/0.png,10\npics/1.png,9\n")
    assert (found.class_names, found.labels.tolist()) == (("9", "10"), [0, 1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "{file}, line 1: the columns are missing; expected a column `file`, a column `label` and, if the parts are "
             "fixed, a column `split` of train, val and test."),
        ("a,b\n1,2\n", "{file}, line 1: the columns are a, b; expected a column `file`, a column `label` and, if the "
                       "parts are fixed, a column `split` of train, val and test."),
        ("file,label\n", "{file} lists no pictures."),
        ("file,label\npics/0.png,\n", "{file}, line 2: the row has no label."),
        ("file,label\n\n,cat\n", "{file}, line 3: the row has no file."),
        ("file,label,split\npics/0.png,cat,holdin\n",
         "{file}, line 2: 'holdin' is not a part; expected train, val or test."),
        ("file,label,Usage\npics/0.png,cat,Training\npics/1.png,dog,PublicTest",
         "{file}, line 3: 'PublicTest' is not a part; expected train, val or test. If the column Usage does not name parts, "
         "rename it."),
        ("file,label,fold\npics/0.png,cat,train\npics/1.png,dog,test_1",
         "{file}, line 1: the column fold, with the values test_1, train, seems to say which part of the data an image belongs "
         "to. Name it `split`, with the values train, val and test; or remove it, and the images are split at random."),
        ("file,label,is_valid\npics/0.png,cat,False\npics/1.png,dog,True",
         "{file}, line 1: the column is_valid, with the values False, True, seems to say which part of the data an image "
         "belongs to. Name it `split`, with the values train, val and test; or remove it, and the images are split at random."),
        ("file,label\npics/0.png,cat\npics/1.png,cat|dog\n",
         "{file}: the label 'cat|dog' seems to be several labels. A CSV file has one label per image; for several, use `name: "
         "npz` or a `loader`, with one row of 0 and 1 per image. If it is one class, list all classes under "
         "dataset.class_names."),
        ("file,label,split\npics/0.png,cat,test\n", "{file} contains no training pictures; its pictures are of other parts."),
        ("file,label\n\0", "{file} cannot be read: it is not UTF-8 text."),
        ("file,label,Label\npics/0.png,cat,1\n",
         "{file}, line 1: two columns are named label; rename or remove one of them."),
        ("file,label\npics/0.png,cat\npics/1.png,nan\n",
         "{file}, line 3: the label 'nan' stands for a missing value. Correct it, or remove the row; or, if it is a class, "
         "list all classes under dataset.class_names."),
        ("file,label\na,b.png,cat\n",
         "{file}, line 2: the row has 3 values, and the header has 2. Put a value that contains ',' in quotation marks."),
        (f"file,label\n{'x' * 200_000},cat\n",
         "{file}, line 2: the row is not CSV: field larger than field limit (131072)."),
        ("file,label\npics/0.png,dog\npics/1.png,Dog\n",
         "{file}: the classes 'Dog' and 'dog' may be one. If they are, give them the same name, or remove one; if not, list "
         "all classes under dataset.class_names."),
        ("file,label\npics/9.png,cat\npics/0.png,dog\n",
         "{file}, line 2: pics/9.png cannot be read as an image: No such file or directory. Remove it, or set "
         "dataset.on_error: skip."),
        ("file,label\npics/0.png,cat\n", "{file}: all labels are the same; a classifier needs at least two classes."),
    ],
)  # fmt: skip
def test_a_csv_file_that_does_not_fit_is_refused_with_its_line(
    text: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(DatasetError) as error:
        of_csv(tmp_path, text)
    assert str(error.value) == message.format(file=tmp_path / "labels.csv")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Dog", "dog"), ("dog", "dog  "), ("dog", "dog copy"), ("dog", "dog - Copy (2)"), ("Copy of dog", "dog"),
        ("dog", "dog_backup"), ("dog", "dog (1)"), ("01", "1"), ("caf\u00e9", "cafe\u0301"), ("big dog", "big  dog"),
        ("1", "1.0"), ("big dog", "big_dog"), ("dog", "dog\u200b"),
    ],
)  # fmt: skip
def test_names_that_may_mean_one_class_are_refused_unless_they_are_listed(
    first: str, second: str, tmp_path: Path
) -> None:
    labels = np.array([first, second])[Y % 2]
    with pytest.raises(DatasetError, match="the classes '.*' and '.*' may be one") as error:
        npz(tmp_path, x=X, y=labels)
    assert {*str(error.value).split("'")[1:4:2]} == {first, second}
    found = npz(tmp_path, {"class_names": (first, second)}, x=X, y=labels)
    assert found.class_names == (first, second)


def test_letters_in_both_cases_are_classes(tmp_path: Path) -> None:
    assert npz(tmp_path, x=X, y=np.array(["a", "A", "type (1)"])[Y]).class_names == ("A", "a", "type (1)")


def test_a_folder_and_its_copy_are_refused(tmp_path: Path) -> None:
    tree(tmp_path, {"cat": 2, "cat copy": 2, "dog": 2})
    with pytest.raises(DatasetError) as error:
        read(tmp_path)
    assert str(error.value) == (
        f"{tmp_path}: the classes 'cat' and 'cat copy' may be one. If they are, give them the same name, or remove one; "
        "if not, list all classes under dataset.class_names."
    )
    assert sizes(read(tmp_path, class_names=("cat", "cat copy"))) == {"train": [2, 2]}


@pytest.mark.parametrize("label", ["", "nan", " NaN", "N/A"])
def test_text_that_stands_for_a_missing_label_is_refused(label: str, tmp_path: Path) -> None:
    labels = np.array(["dog", label, "cat"])[Y]
    with pytest.raises(DatasetError) as error:
        npz(tmp_path, x=X, y=labels)
    assert str(error.value) == (
        f"{tmp_path / 'd.npz'}: 20 of the training labels stand for a missing value ('{label}'). Correct them, or remove "
        "their images; or, if it is a class, list all classes under dataset.class_names."
    )
    assert npz(tmp_path, {"class_names": (label, "dog", "cat")}, x=X, y=labels).class_names[0] == label


def test_a_part_of_which_no_picture_is_read_is_refused(tmp_path: Path) -> None:
    """Otherwise, test images would be split from the training images unsaid."""
    tree(tmp_path, {"train/a": 2, "train/b": 2, "train/c": 1, "test/c": 2})
    lost = f"{tmp_path}: of the test pictures, none {{}}, so that test images would be split from the training images. If "
    lost += "that is what you want, remove these pictures."
    with pytest.raises(DatasetError) as error:
        read(tmp_path, class_names=("a", "b"))
    assert str(error.value) == lost.format("has a class of class_names")
    for file in (tmp_path / "test" / "c").iterdir():
        file.write_bytes(b"no picture")
    with pytest.raises(DatasetError) as error:
        read(tmp_path, on_error="skip")
    assert str(error.value) == lost.format("can be read")


def test_a_class_of_which_no_training_picture_can_be_read_is_named(tmp_path: Path) -> None:
    tree(tmp_path, {"train/a": 2, "train/b": 1, "test/b": 2})
    (tmp_path / "train" / "b" / "10.png").write_bytes(b"no picture")
    with pytest.raises(DatasetError) as error:
        read(tmp_path, on_error="skip")
    assert str(error.value) == (f"{tmp_path}: of the training pictures of the class 'b', none can be read.")


def test_a_single_array_is_refused_with_what_to_save_instead(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((4, 8, 8, 1), np.uint8))
    with pytest.raises(DatasetError) as error:
        read_source(DatasetSettings(name="npz", path=str(tmp_path / "x.npy")))
    assert str(error.value) == (
        f"{tmp_path / 'x.npy'} cannot be read as an .npz file: it contains a single array; save images and "
        "labels together by numpy.savez."
    )


def test_label_names_are_class_names(tmp_path: Path) -> None:
    assert npz(tmp_path, x=X, y=Y, label_names=["w", "x", "y"]).class_names == ("w", "x", "y")


X = np.random.default_rng(0).integers(0, 256, (60, 4, 4, 3), np.uint8)
Y = np.arange(60) % 3


def npz(folder: Path, settings: dict[str, Any] | None = None, **arrays: Any) -> RawImages:
    np.savez(folder / "d.npz", **arrays)
    return read_source(DatasetSettings(name="npz", path=str(folder / "d.npz"), **(settings or {})))


@pytest.mark.parametrize(
    "names",
    [
        ("x_train", "y_train", "x_val", "y_val", "x_test", "y_test"),
        ("X_train", "Y_train", "X_valid", "Y_valid", "X_test", "Y_test"),
        ("xtrain", "ytrain", "xdev", "ydev", "xeval", "yeval"),
        ("train_images", "train_labels", "val_images", "val_labels", "test_images", "test_labels"),
        ("trainX", "trainY", "validX", "validY", "testX", "testY"),
        ("images", "labels", "images_validation", "labels_validation", "images_test", "labels_test"),
    ],
)
def test_arrays_have_any_of_their_usual_names(names: tuple[str, ...], tmp_path: Path) -> None:
    cuts = [slice(0, 30), slice(30, 45), slice(45, 60)]
    arrays = dict(zip(names, [a[cut] for cut in cuts for a in (X, Y)], strict=True))
    found = npz(tmp_path, **arrays)
    for part, cut in zip((found.images, found.val_images, found.test_images), cuts, strict=True):
        np.testing.assert_array_equal(part, X[cut])
    assert found.val_labels is not None
    assert found.val_labels.tolist() == Y[30:45].tolist()
    assert found.notes == ()


def test_arrays_that_are_not_read_are_named(tmp_path: Path) -> None:
    found = npz(tmp_path, x_train=X, y_train=Y, x=X, ids=Y)
    assert found.notes == ("These arrays are not read: ids, x.",)
    with pytest.raises(DatasetError) as error:
        npz(tmp_path, x_train=X, y_train=Y, train_images=X)
    assert str(error.value) == (
        f"{tmp_path / 'd.npz'} contains both x_train and train_images; expected one array of the training images."
    )
    with pytest.raises(DatasetError, match="expected both x_val and y_val, or neither of them"):
        npz(tmp_path, x_train=X, y_train=Y, x_val=X)


def prepared(folder: Path, **settings: Any) -> Dataset:
    np.savez(
        folder / "d.npz",
        x_train=X[:30],
        y_train=Y[:30],
        x_val=X[30:48],
        y_val=Y[30:48],
        x_test=X[48:],
        y_test=Y[48:],
    )
    return prepare_dataset(DatasetSettings(name="npz", path=str(folder / "d.npz"), **settings))


def test_a_users_own_validation_images_are_the_validation_images(tmp_path: Path) -> None:
    dataset = prepared(tmp_path)
    assert [len(part) for part in (dataset.train, dataset.val, dataset.test)] == [30, 18, 12]
    np.testing.assert_array_equal(dataset.val.images, X[30:48])
    assert dataset.has_own_val
    few = prepared(tmp_path, validation_size=6)
    assert {image.tobytes() for image in few.val.images} < {image.tobytes() for image in X[30:48]}
    assert (len(few.val), len(few.train)) == (6, 30)
    assert prepared(tmp_path, validation_size=0.1).notes == (
        "dataset.validation_size: 0.1 has no effect: the dataset has validation images of its own, and all of them are "
        "used. To use fewer, give a whole number.",
    )


def test_a_users_own_validation_images_cannot_be_drawn_by_seeds(tmp_path: Path) -> None:
    prepared(tmp_path)
    with pytest.raises(DatasetError) as error:
        prepare_dataset(DatasetSettings(name="npz", path=str(tmp_path / "d.npz")), (*DEFAULT_VARY, "split"))
    assert str(error.value) == (
        "vary: split needs a dataset without a validation set of its own, and d.npz has one; remove split from vary, or "
        "move the validation images to the training images."
    )


@pytest.mark.parametrize("kind", ["U", "S"])
def test_names_as_labels_are_class_names(kind: str, tmp_path: Path) -> None:
    labels = np.array(["dog", "ant", "cat"])[Y].astype(kind)
    found = npz(tmp_path, x_train=X, y_train=labels, x_test=X[:2], y_test=labels[:2])
    assert found.class_names == ("ant", "cat", "dog")
    assert found.labels.tolist() == [{0: 2, 1: 0, 2: 1}[k] for k in Y.tolist()]
    assert found.test_labels is not None
    assert found.test_labels.tolist() == [2, 0]
    ordered = npz(tmp_path, {"class_names": ("dog", "ant", "cat")}, x=X, y=labels)
    assert (ordered.class_names, ordered.labels.tolist()) == (("dog", "ant", "cat"), Y.tolist())


def test_class_names_of_the_grid_name_whole_numbers(tmp_path: Path) -> None:
    found = npz(tmp_path, {"class_names": ("a", "b", "c")}, x=X, y=Y, class_names=["1", "2", "3"])
    assert found.class_names == ("a", "b", "c")
    with pytest.raises(DatasetError, match="training labels range from 0 to 2; expected 0 to 1"):
        npz(tmp_path, {"class_names": ("a", "b")}, x=X, y=Y)
    with pytest.raises(DatasetError, match=r"no training image has the label 3 \('d'\), one of 4 classes"):
        npz(tmp_path, {"class_names": ("a", "b", "c", "d")}, x=X, y=Y)


def test_names_that_no_training_image_has_are_refused(tmp_path: Path) -> None:
    labels = np.array(["dog", "ant", "cat"])[Y]
    with pytest.raises(DatasetError) as error:
        npz(tmp_path, x_train=X, y_train=labels, x_test=X[:1], y_test=np.array(["dogs"]))
    assert str(error.value) == (
        f"{tmp_path / 'd.npz'}: test labels contain 'dogs', which no training image has. Did you mean 'dog'?"
    )
    with pytest.raises(DatasetError, match="training labels contain 'ant', which is not among class_names"):
        npz(tmp_path, {"class_names": ("dog", "cat")}, x=X, y=labels)


@pytest.mark.parametrize(
    ("test", "what"),
    [
        (X[:9] / 255, "float32 from 0 to 1"),
        ((X[:9] > 127).astype(np.uint8), "uint8 from 0 to 1"),
    ],
)
def test_parts_of_another_type_or_scale_are_refused(test: Any, what: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as error:
        npz(tmp_path, x_train=X, y_train=Y, x_test=test, y_test=Y[:9])
    assert str(error.value) == (
        f"{tmp_path / 'd.npz'}: training images are uint8 from 0 to 255, but test images are {what}; expected one type "
        "and one scale. Store all of them as uint8 from 0 to 255, or as floats from 0 to 1."
    )


def test_whole_numbers_of_0_and_1_as_images_are_said_to_be_dark(tmp_path: Path) -> None:
    assert npz(tmp_path, x=(X > 127).astype(np.uint8), y=Y).notes == (
        "The images are whole numbers of which none is above 1, so they are nearly black on the scale from 0 to 255. If "
        "1 is white, multiply them by 255, or convert them to floats.",
    )


def test_digits_from_0_to_16_are_said_to_be_dark(tmp_path: Path) -> None:
    """As scikit-learn has them."""
    assert npz(tmp_path, x=X // 16 + 1, y=Y).notes == (
        "The images are whole numbers of which none is above 16, so they are nearly black on the scale from 0 to 255. If "
        "16 is white, multiply them by 255 / 16, or convert them to floats.",
    )
    assert npz(tmp_path, x=X // 4, y=Y).notes == ()


def test_a_part_of_its_own_that_lacks_a_class_can_be_made_smaller(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x_train=X[:30], y_train=Y[:30], x_test=X[30:], y_test=Y[30:] % 2)
    dataset = prepare_dataset(DatasetSettings(name="npz", path=str(tmp_path / "d.npz"), test_size=10))
    assert np.bincount(dataset.test.labels).tolist() == [7, 3]
    assert dataset.notes == (
        "There are no test images of 2: their test accuracy is not known, and the metrics of Keras that are means over "
        "classes leave them out.",
    )
