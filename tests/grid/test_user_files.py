"""What a user's code consists of: the modules that it imports, and the files that it reads."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ablation.digest import short_digest
from ablation.errors import AblationError
from ablation.grid.user_code import code_files_read, load_object
from ablation.grid.user_files import changed_files, read_digests, user_modules


def write(folder: Path, **files: str) -> Path:
    """Write modules, ``a__b`` as ``a/b.py``."""
    for name, text in files.items():
        file = folder / (name.replace("__", "/") + ".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    return folder


def test_the_modules_that_a_module_imports_are_followed(tmp_path: Path) -> None:
    write(
        tmp_path,
        entry_a="import json, numpy, helper_a\nfrom pack_a import deep\ndef build():\n    import late_a",
        helper_a="from pack_a.sibling import X",
        late_a="import entry_a",  # a circle
        unused_a="",
        pack_a____init__="",
    )
    (tmp_path / "pack_a").mkdir(exist_ok=True)
    (tmp_path / "pack_a" / "__init__.py").write_text("")
    (tmp_path / "pack_a" / "deep.py").write_text("from . import sibling\nfrom .inner.last import *\n")
    (tmp_path / "pack_a" / "sibling.py").write_text("X = 1\n")
    (tmp_path / "pack_a" / "inner").mkdir()
    (tmp_path / "pack_a" / "inner" / "last.py").write_text("Y = 1\n")
    assert sorted(user_modules("entry_a", tmp_path)) == [
        "entry_a", "helper_a", "late_a", "pack_a", "pack_a.deep", "pack_a.inner.last", "pack_a.sibling",
    ]  # fmt: skip
    assert user_modules("numpy", tmp_path) == {}
    assert user_modules("ablation", tmp_path) == {}


def test_a_module_alone_is_named_by_its_file_and_with_others_by_all(tmp_path: Path) -> None:
    write(tmp_path, alone_b="def build():\n    return 1")
    of_file = short_digest((tmp_path / "alone_b.py").read_bytes(), 12)
    assert load_object("alone_b:build", tmp_path, "builder")[1] == of_file  # as in earlier run folders
    write(tmp_path, with_b="import helper_b\ndef build():\n    return helper_b.UNITS", helper_b="UNITS = 1")
    sources = []
    for units in (1, 2, 1):
        write(tmp_path, helper_b=f"UNITS = {units}")
        build, source = load_object("with_b:build", tmp_path, "builder")
        assert build() == units  # the helper is imported again, too
        sources.append(source)
    assert sources[0] == sources[2] != sources[1]


def test_a_project_of_many_modules_is_read_quickly(tmp_path: Path) -> None:
    names = [f"many{k}_h" for k in range(100)]
    for k, name in enumerate(names):
        others = {names[(k * step + 1) % 100] for step in (3, 7, 11)}
        write(
            tmp_path, **{name: "import json, numpy, sys\n" + "\n".join(f"import {o}" for o in sorted(others))}
        )
    write(tmp_path, many_h="import many0_h\ndef build(): ...")
    load_object("many_h:build", tmp_path, "builder")
    started = time.process_time()
    load_object("many_h:build", tmp_path, "builder")
    assert time.process_time() - started < 1
    assert len(user_modules("many_h", tmp_path)) > 50


def test_helpers_of_the_same_name_in_two_folders_are_two_modules(tmp_path: Path) -> None:
    folders = [write(tmp_path / f"{k}", main_c="from helper_c import N", helper_c=f"N = {k}") for k in (1, 2)]
    assert [load_object("main_c:N", folder, "number")[0] for folder in (*folders, *folders)] == [1, 2, 1, 2]


def test_a_helper_that_has_not_changed_is_imported_once(tmp_path: Path) -> None:
    """Its classes would otherwise be two for the two modules that use it."""
    write(tmp_path, one_d="from shared_d import X", two_d="from shared_d import X", shared_d="class X: ...")
    first, _ = load_object("one_d:X", tmp_path, "class")
    assert load_object("two_d:X", tmp_path, "class")[0] is first
    write(tmp_path, shared_d="class X:\n    new = True")
    assert load_object("one_d:X", tmp_path, "class")[0].new
    assert load_object("two_d:X", tmp_path, "class")[0].new


def test_a_path_that_a_module_adds_is_searched(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere", far_e="N = 1")
    write(
        tmp_path / "here",
        main_e=f"import sys\nsys.path.append({str(tmp_path / 'elsewhere')!r})\nfrom far_e import N",
    )
    try:
        first = load_object("main_e:N", tmp_path / "here", "number")
        write(tmp_path / "elsewhere", far_e="N = 2")
        second = load_object("main_e:N", tmp_path / "here", "number")
    finally:
        sys.path.remove(str(tmp_path / "elsewhere"))
    assert (first[0], second[0]) == (1, 2)
    assert first[1] != second[1]


def test_a_helper_that_cannot_be_read_is_an_error_of_the_import(tmp_path: Path) -> None:
    write(tmp_path, main_f="import broken_f", broken_f="def f(:")
    with pytest.raises(AblationError, match="the module 'main_f' cannot be imported \\(SyntaxError"):
        load_object("main_f:x", tmp_path, "builder")


def test_the_files_that_code_reads_are_seen_however_it_opens_them(tmp_path: Path) -> None:
    import h5py

    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["x"] = [1.0]
    np.save(tmp_path / "table.npy", np.ones(2))
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / ".hidden").write_text("")
    (tmp_path / "plugin_g.py").write_text("")
    outside = tmp_path.parent / f"{tmp_path.name}.txt"
    outside.write_text("")
    write(
        tmp_path,
        main_g="""
import importlib, json, h5py, numpy as np
from pathlib import Path
HERE = Path(__file__).parent
CONFIG = json.loads((HERE / "config.json").read_text())
def build(outside):
    np.load(HERE / "table.npy"), open(outside).close(), open(HERE / ".hidden").close()
    h5py.File(HERE / "w.h5", "r").close()
    (HERE / "log.txt").write_text("written, not read")
    importlib.import_module("plugin" + "_g")""",
    )
    for _ in range(2):  # the module is imported once, and what it read then counts again
        with code_files_read(tmp_path) as read:
            load_object("main_g:build", tmp_path, "builder")[0](outside)
        digests = read_digests(read, tmp_path)
        assert sorted(digests) == sorted(
            [str(outside), "config.json", "main_g.py", "plugin_g.py", "table.npy", "w.h5"]
        )
    assert changed_files(digests, tmp_path) == []
    (tmp_path / "config.json").write_text(json.dumps({"units": 3}))
    (tmp_path / "table.npy").unlink()
    assert changed_files(digests, tmp_path) == ["config.json"]
