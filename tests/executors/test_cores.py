"""How many cores a process may use: a container's quota counts, whichever version of control groups limits it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ablation.executors import cores
from ablation.executors.cores import available_cores, cpu_quotas


@pytest.mark.parametrize(
    ("membership", "files", "quotas"),
    [
        ("0::/", {"cpu.max": "200000 100000"}, {2.0}),
        ("0::/", {"cpu.max": "max 100000"}, set()),
        ("0::/job/step", {"job/cpu.max": "150000 100000", "job/step/cpu.max": "max 100000"}, {1.5}),
        ("0::/job/step", {"job/cpu.max": "400000 100000", "job/step/cpu.max": "300000 100000"}, {3.0, 4.0}),
        ("0::/outside/of/the/container", {"cpu.max": "200000 100000"}, {2.0}),
        (
            "4:memory:/docker/1\n3:cpu,cpuacct:/docker/1\n0::/",
            {"cpu,cpuacct/cpu.cfs_quota_us": "50000", "cpu,cpuacct/cpu.cfs_period_us": "100000"},
            {0.5},
        ),
        ("3:cpu:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, set()),
        ("4:memory:/docker/1", {"memory/limit": "1"}, set()),
        ("", {}, set()),
    ],
)
def test_the_quotas_of_all_control_groups_are_read(
    membership: str, files: dict[str, str], quotas: set[float], tmp_path: Path
) -> None:
    for name, text in {**files, "../membership": membership}.items():
        file = tmp_path / "root" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    (tmp_path / "root").mkdir(exist_ok=True)
    assert set(cpu_quotas(tmp_path / "membership", tmp_path / "root")) == quotas


@pytest.mark.parametrize(("quotas", "expected"), [([], 8), ([2.0], 2), ([2.9, 16.0], 2), ([0.5], 1)])
def test_the_smallest_limit_counts(
    quotas: list[float], expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(cores, "cpu_quotas", lambda: iter(quotas))
    assert available_cores() == expected


def test_without_control_groups_there_is_no_quota(tmp_path: Path) -> None:
    assert list(cpu_quotas(tmp_path / "absent", tmp_path)) == []
