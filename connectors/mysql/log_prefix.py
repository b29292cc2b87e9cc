"""(pure) How many of a window's transactions a snapshot has seen of one table.

A snapshot is opened while transactions commit: those in the window may be in it or not. Their rows
say which: each key that they touched is looked up in the snapshot and compared with what the log
says the row was before and after each of them. Where several answers fit, the rows are the same
after each, so any of them is right.

A row is locked until its transaction is committed, so of one key always the first few changes are
seen. That the first few transactions are seen holds for servers that commit in the order of their
log (`binlog_order_commits`, the default); of others it is found out here whether it does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from connectors.mysql.log_window import Touching
from engine.model.change import Change
from engine.model.relation import Relation
from engine.model.value import Key, Row, Value

State: TypeAlias = Row | None
"""A row, as far as the log tells it; None where there is none."""


@dataclass(slots=True)
class _Chain:
    """What becomes of one key: the state after so many transactions, from none on."""

    counts: list[int] = field(default_factory=list[int])
    states: list[State] = field(default_factory=list[State])

    def add(self, count: int, before: State, after: State) -> None:
        if not self.counts:
            self.counts, self.states = [0], [before]
        after = _filled(after, self.states[-1])
        if self.counts[-1] == count:
            self.states[-1] = after  # nobody sees what is between a transaction's statements
            return
        self.counts.append(count)
        self.states.append(after)

    def seen(self, row: State) -> int | None:
        """Which state the snapshot shows; the last that fits."""
        return next((i for i in range(len(self.states) - 1, -1, -1) if _fits(self.states[i], row)),
                    None)  # fmt: skip

    def agrees(self, count: int, seen: int) -> bool:
        """Whether the state after so many transactions is the one seen, or equal to it."""
        there = max(i for i, other in enumerate(self.counts) if other <= count)
        return there == seen or (
            _whole(self.states[there]) and self.states[there] == self.states[seen]
        )


def touched_keys(touching: Sequence[Touching], relation: Relation) -> list[Key]:
    """Every key that they touch, once, also one that the log does not tell whole."""
    return list(_chains(touching, relation))


def seen_of(
    touching: Sequence[Touching], relation: Relation, rows: Mapping[Key, Row]
) -> int | None:
    """How many of these transactions, from the first on, are in a snapshot that has these rows of
    the keys they touch; None where no such number fits."""
    chains = _chains(touching, relation)
    seen = {key: chain.seen(rows.get(key)) for key, chain in chains.items()}
    for count in range(len(touching), -1, -1):
        if all(
            found is not None and chains[key].agrees(count, found) for key, found in seen.items()
        ):
            return count
    return None


def _chains(touching: Sequence[Touching], relation: Relation) -> dict[Key, _Chain]:
    chains: dict[Key, _Chain] = {}
    for count, transaction in enumerate(touching, 1):
        for change in transaction.changes:
            for key, before, after in _states(change, relation):
                chains.setdefault(key, _Chain()).add(count, before, after)
    return chains


def _states(change: Change, relation: Relation) -> list[tuple[Key, State, State]]:
    """The keys of a change, with their rows before and after it."""
    old, new = change.old, change.new
    old_key = None if old is None else relation.key_of(old)
    new_key = None if new is None else relation.key_of(new)
    if old_key is None or new_key is None or old_key == new_key:
        key = new_key if old_key is None else old_key
        assert key is not None
        return [(key, old, new)]
    return [(old_key, old, None), (new_key, None, new)]


def known(value: Value) -> bool:
    return value is None or isinstance(value, bytes)


def _whole(state: State) -> bool:
    return state is None or all(map(known, state))


def _filled(state: State, before: State) -> State:
    """What a change leaves as it is, is as it was."""
    if state is None or before is None:
        return state
    return tuple([new if known(new) else old for new, old in zip(state, before, strict=True)])


def _fits(state: State, row: State) -> bool:
    if state is None or row is None:
        return state is row
    return all(not known(told) or told == shown for told, shown in zip(state, row, strict=True))
