"""Which column of a table is which.

The canonical names are `user_id`, `item_id`, `rating` and `timestamp`. Names that public data sets
and other libraries use are recognised too, without regard to case, `_`, `-`, spaces and RecBole's
type suffix (`user_id:token`). What was recognised is reported; what is ambiguous is an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lightrec.errors import ArgumentError, InputError

USER, ITEM, RATING, TIMESTAMP = "user_id", "item_id", "rating", "timestamp"

ALIASES: dict[str, frozenset[str]] = {
    USER: frozenset(
        {"user", "uid", "userid", "customer", "customerid", "reviewer", "reviewerid"}
        | {"member", "memberid", "visitor", "visitorid", "account", "accountid", "profileid"}
        | {"listener", "listenerid", "reader", "readerid"}
    ),
    ITEM: frozenset(
        {"item", "iid", "itemid", "movie", "movieid", "artist", "artistid", "asin", "product"}
        | {"productid", "sku", "book", "bookid", "isbn", "song", "songid", "track", "trackid"}
        | {"album", "albumid", "article", "articleid", "doc", "docid", "business", "businessid"}
        | {"anime", "animeid", "game", "gameid", "location", "locationid", "poi", "venue"}
        | {"venueid", "video", "videoid"}
    ),
    RATING: frozenset(
        {"rating", "ratings", "score", "stars", "star", "weight", "overall", "preference"}
    ),
    TIMESTAMP: frozenset(
        {"timestamp", "time", "ts", "datetime", "date", "unixreviewtime", "unixtime"}
        | {"unixtimestamp", "epoch", "createdat", "eventtime"}
    ),
}
"""Recognised names of each column, in the form that `_simplified` gives them."""

_WEIGHTS = ALIASES[RATING] | frozenset(
    {"count", "counts", "cnt", "num", "n", "plays", "playcount", "listens", "listencount"}
    | {"weights", "value", "confidence", "strength", "affinity", "implicitrating"}
    | {"frequency", "freq", "quantity", "qty", "amount", "clicks", "clickcount", "views"}
    | {"viewcount", "purchases", "purchasecount", "visits", "visitcount", "watches", "times"}
    | {"timesplayed", "occurrences", "repeats", "hours", "hoursplayed", "playtime", "watchtime"}
    | {"watchratio", "duration", "dwelltime", "likes", "interactions", "numinteractions"}
)


@dataclass(frozen=True)
class ColumnNames:
    """The table's names of the columns to read.

    None looks for the canonical name and its aliases. An empty text says that the table has no such
    column, whatever its columns are called; only `rating` and `timestamp` may be left out so.
    """

    user_id: str | None = None
    item_id: str | None = None
    rating: str | None = None
    timestamp: str | None = None

    def resolve(self, found: Sequence[str], source: str) -> dict[str, str]:
        """Finds the columns of a table of interactions.

        Args:
            found: the table's column names.
            source: the file or table, for error messages.

        Returns:
            The table's name for `user_id`, `item_id` and, where present, `rating`, `timestamp`.

        Raises:
            InputError: a needed column is missing, or two columns fit.
            ArgumentError: one column was given for two purposes.
        """
        chosen: dict[str, str] = {}
        for canonical in (USER, ITEM, RATING, TIMESTAMP):
            name = find_column(
                found, canonical, getattr(self, canonical), source, canonical in (USER, ITEM)
            )
            if name is not None:
                if name in chosen.values():
                    raise ArgumentError(f"{source}: column {name!r} was chosen for two purposes")
                chosen[canonical] = name
        return chosen


def weight_columns(found: Sequence[str]) -> list[str]:
    """Columns that look like ratings, weights or counts, so that none is left unread in silence."""
    return [name for name in found if _simplified(name) in _WEIGHTS]


def find_column(
    found: Sequence[str], canonical: str, given: str | None, source: str, required: bool
) -> str | None:
    """Finds one column of a table; None where an optional column is absent.

    Args:
        found: the table's column names.
        canonical: one of `user_id`, `item_id`, `rating`, `timestamp`.
        given: the name the user gave; None recognises aliases, "" means no such column.
        source: the file or table, for error messages.
        required: whether absence is an error.

    Raises:
        InputError: the column is missing, occurs twice, or two columns fit.
    """
    if given:
        if given not in found:
            raise InputError(
                f"{source} has no column {given!r} (asked for as {canonical}); {listing(found)}"
            )
        return _once(given, found, source)
    if given is None:
        for fitting in tiers(found, canonical):
            if len(fitting) > 1:
                raise InputError(
                    f"{source}: columns {fitting[0]!r} and {fitting[1]!r} both could be "
                    f"{canonical}; {_remedy(canonical)}"
                )
            if fitting:
                return _once(fitting[0], found, source)
    if required:
        raise InputError(
            f"{source} has no column {canonical}; {listing(found)}; {_remedy(canonical)}"
        )
    return None


def tiers(found: Sequence[str], canonical: str) -> list[list[str]]:
    """Columns that fit, best kind of fit first: exact name, its spelling, then aliases."""
    simplified = {name: _simplified(name) for name in found}
    spelled = _simplified(canonical)
    return [
        [name for name in found if name == canonical],
        [name for name in found if simplified[name] == spelled],
        [name for name in found if simplified[name] in ALIASES[canonical]],
    ]


def _simplified(name: str) -> str:
    plain = name.split(":", 1)[0].casefold()
    return "".join(letter for letter in plain if letter not in "_- .")


def _once(name: str, found: Sequence[str], source: str) -> str:
    # This is how polars renames the second of two CSV columns of one name.
    if f"{name}_duplicated_0" in found:
        raise InputError(f"{source}: column {name!r} occurs twice; rename one of the two")
    return name


def listing(found: Sequence[str]) -> str:
    """The columns found, for an error that misses one."""
    told = "columns found: " + (", ".join(repr(name) for name in found) or "none")
    numbers = [name for name in found if name.replace(".", "", 1).replace(" ", "").isdecimal()]
    if len(numbers) > len(found) / 2:
        told += " (is this a row? The first line must hold the column names)"
    return told


def _remedy(canonical: str) -> str:
    option = canonical.removesuffix("_id")
    return f"say which it is with --{option}-column NAME or ColumnNames({canonical}=NAME)"
