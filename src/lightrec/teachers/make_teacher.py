"""The stage that makes the teacher: chosen, trained as told, or what was chosen before, again."""

from __future__ import annotations

from lightrec.errors import ConfigError
from lightrec.interactions.history import History
from lightrec.teachers.choice import AutoConfig, choose_teacher
from lightrec.teachers.fit import AnyTeacherConfig, FittedTeacher, fit_teacher
from lightrec.teachers.judge import teacher_judge
from lightrec.training.loop import Surroundings


def make_teacher(
    pairs: History,
    config: AnyTeacherConfig | AutoConfig,
    *,
    seed: int,
    held_out: History | None = None,
    repeat: FittedTeacher | None = None,
    surroundings: Surroundings | None = None,
) -> FittedTeacher:
    """Makes the float teacher.

    Args:
        pairs: Training pairs.
        config: Which teacher, or that it is to be chosen.
        seed: Of start, order and negatives.
        held_out: Pairs to choose epochs on, and kind and settings where that is asked for.
        repeat: What was chosen before, to be trained again on other pairs; `config` and `held_out`
            then do not matter.
        surroundings: Log, checkpoint, progress bar.

    Raises:
        ConfigError: A teacher is to be chosen, and nothing is there to choose on.
        DivergedError: A loss is not finite.
        InterruptedRunError: The user asked to stop.
    """
    if repeat is not None:
        return fit_teacher(
            pairs, repeat.config, seed=seed, epochs=repeat.epochs, surroundings=surroundings
        )
    judge = None if held_out is None else teacher_judge(pairs, held_out)
    if not isinstance(config, AutoConfig):
        return fit_teacher(pairs, config, seed=seed, judge=judge, surroundings=surroundings)
    if judge is None:
        raise ConfigError("teacher.kind = 'auto' chooses on held-out pairs; name a teacher instead")
    return choose_teacher(pairs, config, judge, seed=seed, surroundings=surroundings)
