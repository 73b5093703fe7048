"""Further variants of a fractional design, where a verdict is open between aliased interactions."""

from __future__ import annotations

from collections.abc import Sequence

from ablation.analysis.aliases import AliasGroup, declared_groups
from ablation.analysis.separated import DECIDED
from ablation.errors import GridError, RunError
from ablation.executors.shard import Shard
from ablation.grid.folding import folded
from ablation.grid.study import Study
from ablation.grid.trial import content_of
from ablation.results.run import Run
from ablation.store.run_folder import Store

NOTHING_OPEN = (
    "No verdict is open between aliased interactions, so the design was not folded over, and no variant was "
    "added."
)


def require_fraction(study: Study, shard: Shard, only: Sequence[str], max_seeds: int | None) -> None:
    """Refuse a fold-over that is not possible.

    Raises:
        GridError: The design is a full one, or an option cannot be combined with a fold-over.
    """
    if study.design != "fractional":
        raise GridError(
            "--fold-over: the design of this study has no aliases to separate; a fold-over needs "
            "`design: fractional` in the grid."
        )
    options = {"--shard": not shard.is_whole, "--only": bool(only), "--until-resolved": bool(max_seeds)}
    for option, is_given in options.items():
        if is_given:
            raise GridError(
                f"{option} cannot be combined with --fold-over, which looks at all trials together and adds "
                "variants once; run one after the other."
            )


def with_earlier_fold(study: Study, store: Store) -> Study:
    """Return the study with the fold-over that its folder has.

    Results decided about it, so that a run must not drop it. It is kept if the factors are the same, and if
    variants whose results were looked at are still planned, with the same settings.

    Args:
        study: The study as its grid declares it.
        store: Its run folder, which need not exist yet.
    """
    if study.design != "fractional" or study.fold:
        return study
    try:
        earlier, digest = store.study()
    except RunError:
        return study
    planned = {content_of(trial.id) for trial in study.trials(digest)}
    if not earlier.fold or earlier.factors != study.factors:
        return study
    is_same = any(content_of(trial.id) in planned for trial in earlier.trials(digest))
    return folded(study, earlier.fold) if is_same else study


def open_groups(run: Run) -> list[AliasGroup]:
    """Return the aliased interactions whose sum has a verdict of better or worse."""
    decided = run.effects[run.effects["verdict"].isin(DECIDED) & (run.effects["kind"] == "interaction")]
    names = set(decided["effect"])
    return [group for group in declared_groups(run.study) if len(group.pairs) > 1 and group.name in names]


def fold_over(run: Run) -> Study | None:
    """Return the study of a run, folded over; None if no verdict is open, or if it was done before.

    The factor is the one whose interactions the fold-over separates in most of the open sums. Of several, it
    is the one with the largest main effect, because interactions are more likely between factors that have
    an effect themselves (effect heredity: Hamada and Wu, 1992, "Analysis of designed experiments with complex
    aliasing"). Main effects are other contrasts than the sums, so that the choice does not depend on how
    large the open sums came out.

    Raises:
        GridError: A variant of the fold-over has the name of another one.
    """
    study = run.study
    groups = [] if study.fold else open_groups(run)
    if not groups:
        return None
    mains = run.effects[run.effects["kind"] == "main effect"].set_index("effect")["difference"].abs()
    separated = {name: sum(_separates(name, group) for group in groups) for name in study.factors}
    return folded(study, max(study.factors, key=lambda name: (separated[name], mains[name])))


def _separates(factor: str, group: AliasGroup) -> bool:
    return 0 < sum(factor in pair for pair in group.pairs) < len(group.pairs)


def fold_plan(study: Study, is_pending: bool) -> str:
    """Say what a fold-over would do with a study.

    Args:
        study: The study, folded over if that is what comes next.
        is_pending: Whether trials are still to be trained.
    """
    if study.fold:
        return f"The design is folded over on {study.fold}."
    if is_pending:
        return "The results of these trials decide whether the design is folded over, and on which factor."
    return NOTHING_OPEN


def fold_sentence(run: Run) -> str:
    """Say that a run which was asked to fold its design over did not; empty if it did."""
    return "" if run.study.fold else NOTHING_OPEN
