"""How far a budget of work reaches among the candidates of a choice."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lightrec.interactions.history import History
from lightrec.teachers.fit import SingleConfig
from lightrec.teachers.work import estimated_minutes, validation_minutes


class ChoicePlan:
    """What a choice may try at most, and what its probes leave to a finalist.

    Attributes:
        fits: Whether the budget has room for one probe and the narrowest finalist.
        set_aside: Minutes of the budget that probes must leave.
        enough: The least whole number of minutes that would let every probe be tried before the
            narrowest finalist.
    """

    def __init__(
        self,
        pairs: History,
        budget_minutes: float,
        probes: Sequence[SingleConfig],
        finalists: Sequence[SingleConfig],
    ) -> None:
        """Counts the work.

        Args:
            pairs: Training pairs.
            budget_minutes: Work of training that the choice has.
            probes: As many as there can be; the first is trained in any case.
            finalists: Likewise, the narrowest first; work is set aside for the first one.
        """
        self._pairs, self._budget = pairs, budget_minutes
        self._probes, self._finalists = probes, finalists
        first, full = self.minutes(probes[0]), self.minutes(finalists[0])
        self.fits = first + full <= budget_minutes
        self.set_aside = full if self.fits else budget_minutes / 2
        self.enough = math.ceil(full + sum(map(self.minutes, probes)))

    def minutes(self, candidate: SingleConfig) -> float:
        """Work of training a candidate."""
        return estimated_minutes(self._pairs, candidate)

    def most_minutes(self) -> tuple[float, float]:
        """The most that training and that validation can take."""
        every = [*self._probes, *self._finalists]
        possible = [each for each in every if self.minutes(each) <= self._budget]
        training = min(sum(map(self.minutes, possible)), self._budget)
        if not self.fits:
            narrow = [each for each in self._finalists if each.width == self._finalists[0].width]
            in_any_case = [self._probes[0], max(narrow, key=self.minutes)]
            training += sum(map(self.minutes, in_any_case))
            possible += in_any_case
        return training, sum(validation_minutes(self._pairs, each) for each in possible)

    @property
    def most_candidates(self) -> int:
        """How many are trained at most."""
        return len(self._probes) + len(self._finalists)

    def describe(self) -> str:
        """What lies ahead, for people who will wait for it."""
        training, validation = (math.ceil(10 * each) / 10 for each in self.most_minutes())
        return (
            f"among at most {self.most_candidates} candidates: at most "
            f"{training:.1f} minutes of training on two cores (teacher.budget_minutes = "
            f"{self._budget:g}) and {validation:.1f} of validation"
        )
