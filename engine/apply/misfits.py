"""Rows with a value that their wire form cannot hold are refused before a target sees it. (pure)"""

from collections.abc import Sequence
from typing import Final

from engine.errors import RowRejectedError
from engine.model.batch import Run
from engine.model.change import DELETE
from engine.model.relation import Relation
from engine.model.value import Misfit, Row

NO_SQLSTATE: Final = "22000"
"""`data exception`: no server was asked."""


def refuse_misfits(runs: Sequence[Run]) -> None:
    """Raises RowRejectedError for the first row that holds one in a value that is used."""
    for run in runs:
        relation = run.relation
        if not relation.misfits:
            continue
        used = _places_to_find_by(relation) if run.kind == DELETE else relation.misfits
        _refuse(relation, run.rows, used)
        if run.olds is not None:
            _refuse(relation, run.olds, _places_to_find_by(relation))


def _places_to_find_by(relation: Relation) -> Sequence[int]:
    """Of an old row its key is used; without a key all of it."""
    if not relation.key:
        return relation.misfits
    return [place for place in relation.misfits if place in relation.key]


def _refuse(relation: Relation, rows: Sequence[Row], places: Sequence[int]) -> None:
    for row in rows:
        for place in places:
            value = row[place]
            if isinstance(value, Misfit):
                raise _refusal(relation, place, value)


def _refusal(relation: Relation, place: int, misfit: Misfit) -> RowRejectedError:
    name = relation.columns[place].name
    return RowRejectedError(
        f"{relation.qualified}: column {name} {misfit.message}",
        sqlstate=NO_SQLSTATE,
        context={"table": relation.qualified, "reason": misfit.reason},
    )
