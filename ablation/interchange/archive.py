"""Writing a pack: a folder or a zip file, all of it or nothing, the same bytes for the same contents."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

from ablation.errors import RunError, refuse_file, writing
from ablation.files import atomic_writer

_THE_FIRST_TIME = (1980, 1, 1, 0, 0, 0)  # that a zip file can name; the times of files tell nothing
_A_FILE = 0o100644 << 16


def write_archive(contents: Mapping[str, bytes | Path], out: Path) -> None:
    """Write files into a new folder or, if its name ends in ``.zip``, a new zip file.

    Args:
        contents: The content of each file, or the file to copy, by its path below the folder.
        out: The folder or file, which must not exist yet.

    Raises:
        RunError: It exists already, or it cannot be written.
    """
    refuse_file(out.parent)
    with writing(out.parent):
        if out.exists():
            raise RunError(f"{out} already exists; choose another name with --out, or move it away.")
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.suffix.lower() == ".zip":
            _write_zip(contents, out)
        else:
            _write_folder(contents, out)


def _write_zip(contents: Mapping[str, bytes | Path], out: Path) -> None:
    with atomic_writer(out) as stream, zipfile.ZipFile(stream, "w") as archive:
        for name in sorted(contents):
            member = zipfile.ZipInfo(name, _THE_FIRST_TIME)
            member.compress_type, member.external_attr, member.create_system = (
                zipfile.ZIP_DEFLATED,
                _A_FILE,
                3,
            )
            content = contents[name]
            if isinstance(content, bytes):
                archive.writestr(member, content)
                continue
            member.file_size = content.stat().st_size  # says whether the file needs a large one's record
            with content.open("rb") as source, archive.open(member, "w") as target:
                shutil.copyfileobj(source, target)


def _write_folder(contents: Mapping[str, bytes | Path], out: Path) -> None:
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # left by a process that was killed
    try:
        for name, content in contents.items():
            file = partial / name
            file.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                file.write_bytes(content)
            else:
                shutil.copyfile(content, file)
        partial.rename(out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
