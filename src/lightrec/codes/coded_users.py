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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from pydantic import Field

from lightrec.codes.half_precision import half_precision
from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.linear_users import linear_map
from lightrec.codes.mlp_users import mlp_map
from lightrec.codes.user_codebooks import (
    codebooks_for_users,
    level_codebooks,
    refit_codebooks_to_users,
    vectors_for_tables,
)
from lightrec.codes.user_fit import fit_tables, fit_vectors
from lightrec.codes.user_fit_task import Effort, UserFitConfig
from lightrec.errors import ArgumentError
from lightrec.factors import Factors
from lightrec.interactions.history import History
from lightrec.settings import Settings

UserForm = Literal["identity", "fitted", "table", "free", "linear", "mlp"]
FORMS: tuple[UserForm, ...] = ("identity", "fitted", "table")
"""Those that are compared where none is asked for."""
MADE: tuple[UserForm, ...] = ("identity", "linear", "mlp", "fitted", "table")
CODEBOOK_USERS = 10_000  # whom the codebooks of `fitted` users are made for
ALTERNATION_ROUNDS = 5  # of the vectors' fit between two fits of the codebooks


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
    task = _FormsTask(
        teacher, item_codes, seen, config or UsersConfig(), effort or Effort(), "table" in forms
    )
    return tuple(task.users_in(form) for form in forms)


@dataclass(frozen=True)
class _FormsTask:
    """Users to be brought into forms.

    Attributes:
        with_tables: Whether the score tables of all users are wanted anyway.
    """

    teacher: Factors
    item_codes: ItemCodes
    seen: History | None
    config: UsersConfig
    effort: Effort
    with_tables: bool

    def users_in(self, form: UserForm) -> CodedUsers:
        """The users in one form."""
        users, config = self.teacher.users, self.config
        if form == "identity":
            return CodedUsers(form, self.item_codes, users)
        if form == "table":
            return CodedUsers(form, self.item_codes, half_precision(self.tables))
        own, rows, vectors = self._own_codebooks(config.width_of(form, self.item_codes.width))
        if form == "mlp":
            rng = np.random.default_rng(self.effort.seed)
            network = mlp_map(users[rows], vectors, own, rng=rng)
            mapped, query_map = network.of(users), network.layers()
        else:
            query_map = {"0.weight": linear_map(users[rows], vectors)}
            mapped = users @ query_map["0.weight"].T
        own = level_codebooks(own, mapped[rows], users[rows], self.teacher.items)
        if form == "fitted":
            mapped = self._fit_vectors(own, mapped, config.fit.rounds_of_vectors)
        return CodedUsers(form, own, mapped, query_map)

    @cached_property
    def tables(self) -> np.ndarray:
        """(M, B, W) float32, fitted to all users."""
        return self._fit_tables(None)

    def _own_codebooks(self, width: int) -> tuple[ItemCodes, np.ndarray, np.ndarray]:
        """The codes with codebooks for vectors fitted to them, made from a sample of the users.

        First those whose score tables come nearest to the users' own tables; then codebooks and
        vectors are fitted to each other in turn.

        Returns:
            The codes with codebooks (B, W, D), the rows of the sample, and its vectors (n, D).
        """
        codes, fit = self.item_codes.codes, self.config.fit
        rows = np.arange(len(self.teacher.users))
        if len(rows) > CODEBOOK_USERS:
            rng = np.random.default_rng(self.effort.seed)
            rows = np.sort(rng.choice(rows, CODEBOOK_USERS, replace=False))
        tables = self.tables[rows] if self.with_tables else self._fit_tables(rows)
        own = ItemCodes(codes, codebooks_for_users(tables, self.item_codes, width))
        vectors = vectors_for_tables(tables, own)
        for _ in range(self.config.alternations):
            vectors = self._fit_vectors(own, vectors, min(ALTERNATION_ROUNDS, fit.rounds), rows)
            books = refit_codebooks_to_users(
                *(vectors, self.teacher, own, self.seen, fit), user_rows=rows, effort=self.effort
            )
            own = ItemCodes(codes, books)
        return own, rows, vectors

    def _fit_tables(self, rows: np.ndarray | None) -> np.ndarray:
        return fit_tables(
            *(self.teacher, self.item_codes, self.seen, self.config.fit),
            user_rows=rows,
            effort=self.effort,
        )

    def _fit_vectors(
        self, own: ItemCodes, start: np.ndarray, rounds: int, rows: np.ndarray | None = None
    ) -> np.ndarray:
        return fit_vectors(
            *(self.teacher, own, self.seen, self.config.fit),
            start=start,
            user_rows=rows,
            rounds=rounds,
            effort=self.effort,
        )
