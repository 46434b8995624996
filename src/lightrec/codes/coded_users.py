"""The forms in which users meet codes that were made without a gradient.

- `identity`: the teacher's vectors as they are, P2 = P1. Nothing is stored beside them, and the
  vectors of a live user tower can query.
- `fitted`: vectors fitted to the codes in closed form, together with codebooks fitted to them.
- `linear`, `mlp`: a map of the teacher's vectors that comes near to fitted ones, with codebooks
  made likewise. The vectors of a live user tower can query, through the map.
- `table`: a score table of each user's own, fitted likewise, stored as float16. No codebook is read
  when a known user is scored.

The codes are the same in all of them: what is better costs memory on the side of the users.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from pydantic import Field

from lightrec.codes.alternation import Alternated, UserFits, alternate, users_for_codebooks
from lightrec.codes.half_precision import half_precision
from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.linear_users import linear_map
from lightrec.codes.mlp_users import mlp_map
from lightrec.codes.user_codebooks import level_codebooks
from lightrec.codes.user_fit_task import Effort, UserFitConfig
from lightrec.errors import ArgumentError
from lightrec.factors import Factors
from lightrec.interactions.history import History
from lightrec.settings import Settings

UserForm = Literal["identity", "fitted", "table", "free", "linear", "mlp"]
FORMS: tuple[UserForm, ...] = ("identity", "fitted", "table")
"""Those that are compared where none is asked for."""


class UsersConfig(Settings):
    """Settings of the users' form."""

    form: Literal["auto", "identity", "linear", "mlp", "fitted", "table"] = "auto"
    """`auto`: the form of `identity`, `fitted` and `table` with the fewest bytes a user that comes
    within `tolerance` of the best; of equally many bytes, the better form."""
    codeword_width: int | None = Field(None, ge=1)
    """Numbers in a codeword, and in a user's vector, for `linear`, `mlp` and `fitted` users, up to
    the teacher's width. When not said, `fitted` users have that width, mapped ones half of it."""
    tolerance: float = Field(0.01, ge=0)
    """Share of the best form's Recall@100 + NDCG on validation pairs that fewer bytes may cost."""
    alternations: int = Field(2, ge=0)
    """How often codebooks and vectors of `fitted` users are fitted to each other."""
    fit: UserFitConfig = UserFitConfig()

    def width_of(self, form: UserForm, teacher_width: int) -> int:
        """Numbers in a codeword of codebooks made for users in a form."""
        usual = teacher_width if form == "fitted" else (teacher_width + 1) // 2
        return min(self.codeword_width or usual, teacher_width)


@dataclass(frozen=True)
class CodedUsers:
    """Users in one form, with the codes that they go with.

    Attributes:
        form: Which form; `free`, `linear` and `mlp` where a gradient trained them beside the codes.
        item_codes: The codes; their codebooks are the form's own for `fitted`.
        values: (M, D) float32 vectors, or (M, B, W) score tables, float16 where they fit.
        query_map: The map from the teacher's space: for `fitted` and `linear` users `0.weight`
            (D, T); for `mlp` its layers.
    """

    form: UserForm
    item_codes: ItemCodes
    values: np.ndarray
    query_map: Mapping[str, np.ndarray] | None = None

    @property
    def bytes_per_user(self) -> float:
        """Bytes of a vector or table; the map is shared by all."""
        return float(self.values[:1].nbytes) if len(self.values) else 0.0


def users_in_form(
    form: UserForm,
    teacher: Factors,
    item_codes: ItemCodes,
    seen: History | None,
    config: UsersConfig | None = None,
    effort: Effort | None = None,
) -> CodedUsers:
    """Brings a teacher's users into a form; `users_in_forms` says what the arguments are."""
    return users_in_forms((form,), teacher, item_codes, seen, config, effort)[0]


def users_in_forms(
    forms: Sequence[UserForm],
    teacher: Factors,
    item_codes: ItemCodes,
    seen: History | None,
    config: UsersConfig | None = None,
    effort: Effort | None = None,
) -> tuple[CodedUsers, ...]:
    """Brings a teacher's users into some forms.

    Where `table` is among them, the score tables of all users serve the others too, which would fit
    them to a sample again. Beyond 10,000 users the codebooks of these others may then differ in the
    last bits from those of a form made alone, and their users a little more.

    Args:
        forms: Which.
        teacher: Users (M, T) and items (N, T).
        item_codes: Codes of these items, with codebooks in the teacher's space.
        seen: Pairs that recommendation leaves out, and the fit too.
        config: Settings; the defaults when None.
        effort: How the fits are carried out; the defaults when None.

    Returns:
        The users in each form, in the order asked for.

    Raises:
        ArgumentError: The form is not one that users can be brought into, or shapes do not fit.
    """
    for form in forms:
        if form not in MADE:
            raise ArgumentError(f"users cannot be brought into the form {form!r}; choose of {MADE}")
    config = config or UsersConfig()
    fits = UserFits(teacher, item_codes, seen, config.fit, effort or Effort())
    uncoded = _Uncoded(fits, config, with_tables="table" in forms)
    return tuple(_MAKERS[form](uncoded) for form in forms)


@dataclass(frozen=True)
class _Uncoded:
    """Users to be brought into forms, and what several forms need of them.

    Attributes:
        fits: The users, the codes, and how one is fitted to the other.
        config: Settings.
        with_tables: Whether the score tables of all users are wanted anyway.
    """

    fits: UserFits
    config: UsersConfig
    with_tables: bool

    @property
    def users(self) -> np.ndarray:
        """(M, T) float32, the teacher's."""
        return self.fits.teacher.users

    @cached_property
    def tables(self) -> np.ndarray:
        """(M, B, W) float32, fitted to all users."""
        return self.fits.tables()

    def alternated(self, form: UserForm) -> Alternated:
        """Codebooks of the width that the form has, and vectors of the users they were made for."""
        rows = users_for_codebooks(len(self.users), self.fits.effort.seed)
        tables = self.tables[rows] if self.with_tables else self.fits.tables(rows)
        width = self.config.width_of(form, self.fits.item_codes.width)
        return alternate(
            self.fits, rows, tables, width=width, alternations=self.config.alternations
        )

    def levelled(self, made: Alternated, mapped: np.ndarray) -> ItemCodes:
        """Codebooks whose scores for mapped users are on the teacher's level."""
        rows = made.rows
        return level_codebooks(
            made.item_codes, mapped[rows], self.users[rows], self.fits.teacher.items
        )


def _identity(uncoded: _Uncoded) -> CodedUsers:
    """The teacher's users as they are."""
    return CodedUsers("identity", uncoded.fits.item_codes, uncoded.users)


def _table(uncoded: _Uncoded) -> CodedUsers:
    """Score tables of the users' own."""
    return CodedUsers("table", uncoded.fits.item_codes, half_precision(uncoded.tables))


def _linear(uncoded: _Uncoded, form: UserForm = "linear") -> CodedUsers:
    """A linear map of the teacher's users to codebooks made for them."""
    made = uncoded.alternated(form)
    weight = linear_map(uncoded.users[made.rows], made.vectors)
    mapped = uncoded.users @ weight.T
    return CodedUsers(form, uncoded.levelled(made, mapped), mapped, {"0.weight": weight})


def _mlp(uncoded: _Uncoded) -> CodedUsers:
    """The same by a small network."""
    made = uncoded.alternated("mlp")
    rng = np.random.default_rng(uncoded.fits.effort.seed)
    network = mlp_map(uncoded.users[made.rows], made.vectors, made.item_codes, rng=rng)
    mapped = network.of(uncoded.users)
    return CodedUsers("mlp", uncoded.levelled(made, mapped), mapped, network.layers())


def _fitted(uncoded: _Uncoded) -> CodedUsers:
    """Vectors fitted to such codebooks, from where the linear map brings them."""
    mapped = _linear(uncoded, "fitted")
    rounds = uncoded.config.fit.rounds_of_vectors
    vectors = uncoded.fits.vectors(mapped.item_codes, mapped.values, rounds=rounds)
    return replace(mapped, values=vectors)


_MAKERS: dict[UserForm, Callable[[_Uncoded], CodedUsers]] = {
    "identity": _identity,
    "linear": _linear,
    "mlp": _mlp,
    "fitted": _fitted,
    "table": _table,
}
MADE = tuple(_MAKERS)
"""The forms that users can be brought into."""
