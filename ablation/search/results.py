"""The results of a search: its proposals, its trials and its confirmation."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import pandas as pd

from ablation.errors import RunError, refuse_file, unreadable
from ablation.files import DAMAGED
from ablation.grid.settings_group import STORED
from ablation.results.run import Run
from ablation.search.proposal import Proposal
from ablation.search.settings import Search
from ablation.search.tables import confirmation_table, importance_table, search_table
from ablation.store.checked_record import require_unchanged
from ablation.store.restoring import SEARCH


class SearchRun:
    """The folder of a search, with two run folders: ``search`` for its trials, and ``confirmation``.

    Args:
        folder: The folder, as `run_search` wrote it.

    Raises:
        RunError: The folder is not the folder of a search, or its record is damaged.
    """

    run_class: ClassVar[type[Run]] = Run

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        refuse_file(self.folder)
        try:
            content = (self.folder / SEARCH).read_bytes()
            record = json.loads(content)
            self.search = Search.model_validate_json(
                json.dumps(record["search"]), strict=True, context=STORED
            )
            self.proposals = [Proposal.model_validate(p) for p in record["proposals"]]
            require_unchanged(content)
        except FileNotFoundError:
            raise RunError(f"{self.folder} is not the folder of a search: it has no {SEARCH}.") from None
        except OSError as error:
            raise RunError(unreadable(self.folder / SEARCH, error)) from None
        except DAMAGED:
            raise RunError(
                f"{self.folder / SEARCH} is damaged; the same `ablation search` command restores it."
            ) from None

    @cached_property
    def explored(self) -> Run:
        """The run of the proposals and the baseline with the seeds of the search, without the test set."""
        return self.run_class(self.folder / "search")

    @cached_property
    def confirmed(self) -> Run:
        """The run of the best settings and the baseline, with seeds that the search has not used.

        Raises:
            RunError: The search has not reached the confirmation yet.
        """
        return self.run_class(self.folder / "confirmation")

    @property
    def ablated(self) -> Run | None:
        """The run of the study that takes the winner apart, if there is one."""
        folder = self.folder / "ablation"
        return self.run_class(folder) if (folder / "study.json").is_file() else None

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per proposal: its settings, its mean objective over the seeds, and its rank."""
        return search_table(self.search, self.proposals, self.explored)

    @cached_property
    def importance(self) -> pd.DataFrame:
        """One row per parameter: how much of the objective it explains."""
        return importance_table(self.search, self.table)

    @cached_property
    def confirmation(self) -> pd.DataFrame:
        """One row per confirmed setting: its score in the search, the confirmed one, optimism, verdict."""
        return confirmation_table(self.search, self.table, self.confirmed)
