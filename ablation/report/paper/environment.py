"""Where the trials of a run were trained, with what, and how long that took; without names of machines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ablation.analysis.phrases import duration
from ablation.grid.value_text import counted
from ablation.report.paper.latex import tex
from ablation.results.run import Run

_SOFTWARE = {
    "python": "Python", "tensorflow": "TensorFlow", "jax": "JAX", "keras": "Keras", "numpy": "NumPy",
    "ablation-harness": "ablation-harness",
}  # fmt: skip
_CITED = {"tensorflow": "abadi2016tensorflow", "jax": "bradbury2018jax", "keras": "chollet2015keras"}
_NONE = ("", "none", "unknown")


@dataclass(frozen=True)
class Environment:
    """What trained the trials of a run; each value is a list, because trials can differ in it.

    Attributes:
        values: The values of each key of the provenance, in the order of the trials.
        seconds: The wall time of each trial that has a result.
    """

    values: dict[str, list[str]]
    seconds: list[float]

    @classmethod
    def of(cls, run: Run) -> Environment:
        """Return the environment of a run."""
        values: dict[str, list[str]] = {}
        for result in run.trial_results.values():
            for key, value in result.provenance.items():
                if value not in values.setdefault(key, []):
                    values[key].append(value)
        return cls(values, [result.seconds for result in run.trial_results.values()])

    def one(self, key: str) -> str:
        """Return the value of a key, all values if trials differ in it, and nothing if it is not known."""
        return " or ".join(value for value in self.values.get(key, []) if value not in _NONE)

    @property
    def versions(self) -> list[tuple[str, str, str]]:
        """The software: its name, its versions, and the key of what to cite, which may be empty."""
        found = ((key, name, self.one(key)) for key, name in _SOFTWARE.items())
        return [(name, version, _CITED.get(key, "")) for key, name, version in found if version]

    @property
    def software(self) -> str:
        """The software with its versions and citations, as LaTeX."""
        return listed(
            f"{name} {tex(version)}" + (rf"~\cite{{{key}}}" if key else "")
            for name, version, key in self.versions
        )

    @property
    def hardware(self) -> str:
        """The processor or accelerator, and how much of it a trial had."""
        threads = self.one("threads")
        cores = self.one("cores")
        parts = [f"{self.one('processor') or self.one('machine') or 'unknown processor'}"]
        if cores:
            parts.append(f"{cores} core{'s' if cores != '1' else ''}")
        if accelerator := self.one("accelerator"):
            parts.append(f"accelerator {accelerator}")
        text = ", ".join(parts)
        return f"{text}; {threads} thread{'s' if threads != '1' else ''} per trial" if threads else text

    @property
    def time(self) -> str:
        """The wall time of all trials together and of each; empty if none has a result."""
        if not self.seconds:
            return ""
        total, count = sum(self.seconds), len(self.seconds)
        return (
            f"{duration(total)} for {counted(count, 'trial')}, {duration(total / count)} each on average "
            "(wall time of training and measuring; trials that ran at the same time are added up)"
        )

    @property
    def code(self) -> str:
        """The git commit of the grid file's repository; empty if it is in none."""
        commit, dirty = self.one("git commit"), self.values.get("git dirty", [])
        if not commit:
            return ""
        changes = ", with changes that were not committed" if "yes" in dirty else ""
        unknown = ", not checked for changes that were not committed" if "unknown" in dirty else ""
        return f"git commit {commit}{changes or unknown}"


def listed(parts: Iterable[str]) -> str:
    """Return parts as ``a, b and c``."""
    *first, last = list(parts) or [""]
    return f"{', '.join(first)} and {last}" if first else last
