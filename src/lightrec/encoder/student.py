"""The student: codes, codebooks and users learned together from pairs and from the teacher."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.item_metric import ItemMetric
from lightrec.encoder.composite_encoder import CompositeEncoder
from lightrec.encoder.distillation import (
    embedding_distillation,
    inner_product_distillation,
    ranking_distillation,
)
from lightrec.encoder.diversity import DIVERSITIES, diversity_penalty
from lightrec.encoder.item_encoding import ItemEncoding, JointEncoding, RecurrentEncoding
from lightrec.encoder.recurrence import RECURRENCES
from lightrec.encoder.selection import Hard, IdentityStraightThrough, Selection, StraightThrough
from lightrec.encoder.similarity import SIMILARITIES
from lightrec.encoder.student_config import StudentConfig
from lightrec.encoder.user_forms import USER_FORMS
from lightrec.factors import Factors
from lightrec.training.loop import Objective
from lightrec.training.losses import bpr_loss, l2_penalty, softmax_loss
from lightrec.training.negative_sampling import Batch
from lightrec.training.row_adam import RowAdam

LOSSES = {"bpr": bpr_loss, "softmax": softmax_loss}
"""By their names in the configuration."""
PRODUCT_PAYS = 64
"""Items, for each that a user needs, up to which one product of all users and items is faster."""
COLLAPSED = 2.0  # different codes, as many as the codebooks' perplexities allow
LOOKED_AT = 4_096  # items that tell whether the codes have collapsed


class Student(Objective):
    """A ranking loss on the codes' scores (Eq. 3) plus distillation (Eq. 8-11)."""

    def __init__(
        self,
        teacher: Factors,
        start: ItemCodes | None,
        config: StudentConfig,
        *,
        num_codebooks: int = 4,
        num_codewords: int = 256,
        metric: ItemMetric | None = None,
        seed: int,
    ) -> None:
        """Builds the student before its first step.

        Args:
            teacher: P1 and q, frozen.
            start: Codes and codebooks to start from; None draws random codebooks.
            config: Settings.
            num_codebooks: B of random codebooks.
            num_codewords: W of random codebooks.
            metric: How errors are measured when codes are chosen together; Euclidean when None.
            seed: Of random codebooks.
        """
        super().__init__()
        self.config = config
        if start is not None:
            num_codebooks, num_codewords = start.num_codebooks, start.num_codewords
        generator = torch.Generator().manual_seed(seed)
        encoder = CompositeEncoder(
            teacher.width,
            num_codebooks,
            num_codewords,
            word_width=config.codeword_width,
            similarity=SIMILARITIES[config.similarity],
            selection=_selection(config),
            recurrence=RECURRENCES[config.recurrence],
            generator=generator,
        )
        if start is not None:
            encoder.start_from(start.codebooks)
        self.encoding = _encoding(encoder, teacher, start, config, metric, seed)
        teacher_users = torch.from_numpy(teacher.users)
        self.register_buffer("teacher_users", teacher_users, persistent=False)
        self.register_buffer("teacher_items", torch.from_numpy(teacher.items), persistent=False)
        self.users = USER_FORMS[config.user_form](teacher_users, encoder.codebooks.shape[2])

    def start_epoch(self, epoch: int) -> None:
        """Lets encoding and users do what they do once an epoch."""
        self.encoding.start_epoch(epoch, self.config.epochs)
        self.users.start_epoch()

    def after_step(self) -> None:
        """Tells the users that they may have moved."""
        self.users.after_step()

    def trouble(self) -> str | None:
        """Whether nearly all items have come to the same code."""
        count = len(self.get_buffer("teacher_items"))
        rows = torch.arange(0, count, max(1, count // LOOKED_AT))
        return collapse_of(self.encoding.item_codes(rows))

    def optimiser(self, learning_rate: float) -> torch.optim.Optimizer:
        """Adam; of users, and of items that are trained, only those of a batch move."""
        moving = [value for value in self.parameters() if value.requires_grad]
        return RowAdam(moving, learning_rate)

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        """The losses of a batch; every different item and user is computed once."""
        config = self.config
        pairs = torch.cat([batch.positives[:, None], batch.negatives], dim=1)
        rows, places = torch.unique(pairs, return_inverse=True)
        user_rows, user_places = torch.unique(batch.users, return_inverse=True)
        encoded, vectors = self.encoding(rows), self.users.of(user_rows)
        users = F.embedding(user_places, vectors)
        scores = scores_of_pairs(users, encoded.vectors, places)
        terms: dict[str, tuple[float, torch.Tensor]] = {}
        terms[config.loss] = config.ranking_loss, self._ranking_loss(scores)
        if config.float_ranking_loss:
            floats = scores_of_pairs(users, encoded.items, places)
            terms["float"] = config.float_ranking_loss, self._ranking_loss(floats)
        weights = _distillation_weights(places, len(rows), config.distillation_on_positives)
        teacher_items = self.get_buffer("teacher_items")[rows]
        if config.embedding_distillation:
            loss = embedding_distillation(teacher_items, encoded.vectors, weights)
            terms["e_kd"] = config.embedding_distillation, loss
        if config.inner_product_distillation:
            grams = self.users.grams(user_rows, vectors)
            loss = inner_product_distillation(teacher_items, encoded.vectors, weights, grams)
            terms["ip_kd"] = config.inner_product_distillation, loss
        if config.ranking_distillation:
            of_users = self.get_buffer("teacher_users")[batch.users]
            of_teacher = scores_of_pairs(of_users, teacher_items, places[:, 1:])
            loss = ranking_distillation(of_teacher, scores[:, 1:], config.ranking_temperature)
            terms["r_kd"] = config.ranking_distillation, loss
        if config.diversity != "none":
            codebooks = self.encoding.encoder.codebooks
            loss = diversity_penalty(codebooks, DIVERSITIES[config.diversity])
            terms["diversity"] = config.diversity_weight, loss
        if encoded.penalty is not None:
            terms["commitment"] = config.commitment_weight, encoded.penalty
        if config.l2:
            penalty = l2_penalty(users, F.embedding(places, encoded.vectors), batch_size=len(users))
            terms["l2"] = config.l2, penalty
        total = torch.stack([weight * term for weight, term in terms.values()]).sum()
        return {"loss": total} | {name: term for name, (_, term) in terms.items()}

    def _ranking_loss(self, scores: torch.Tensor) -> torch.Tensor:
        """Of scores (n, 1 + L), the training pair's first."""
        scores = scores / self.config.loss_temperature
        return LOSSES[self.config.loss](scores[:, 0], scores[:, 1:])

    def item_codes(self) -> ItemCodes:
        """The catalogue's codes as they stand."""
        return self.encoding.item_codes()

    def user_vectors(self) -> np.ndarray:
        """P2 as it stands, (M, D) float32."""
        with torch.no_grad():
            return self.users.all().to("cpu", torch.float32, copy=True).numpy()


def collapse_of(codes: ItemCodes) -> str | None:
    """What to say of codes that nearly all items share; None where they do not."""
    health = codes.health
    if codes.num_items < 2 or np.prod(health.perplexity) >= COLLAPSED:
        return None
    return (
        f"the codes have collapsed, nearly all items have the same one ({health.describe()}): "
        "start from a quantiser, or give distillation more weight;"
    )


def scores_of_pairs(users: torch.Tensor, items: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Scores of each user's own items, by whichever way moves less memory.

    Args:
        users: (n, D).
        items: (m, D).
        places: (n, L) int64, which of the items are each user's.

    Returns:
        (n, L).
    """
    if len(items) <= PRODUCT_PAYS * places.shape[1]:
        return (users @ items.T).gather(1, places)
    return torch.einsum("nd,nld->nl", users, F.embedding(places, items))


def _selection(config: StudentConfig) -> Selection:
    if config.selection == "straight_through":
        return StraightThrough(config.temperature, config.final_temperature)
    if config.selection == "identity_straight_through":
        return IdentityStraightThrough(config.commitment)
    return Hard()


def _encoding(
    encoder: CompositeEncoder,
    teacher: Factors,
    start: ItemCodes | None,
    config: StudentConfig,
    metric: ItemMetric | None,
    seed: int,
) -> ItemEncoding:
    items = torch.from_numpy(teacher.items)
    if config.selection != "joint":
        return RecurrentEncoding(
            encoder,
            items,
            trained=config.items == "trained",
            revive_every=config.revive_every,
            seed=seed,
        )
    return JointEncoding(
        encoder,
        items,
        start.codes if start is not None else encoder.item_codes(items).codes,
        metric=metric or ItemMetric.euclidean(teacher.width),
        beam=config.beam,
        icm_sweeps=config.icm_sweeps,
        refresh_every=config.refresh_every,
    )


def _distillation_weights(places: torch.Tensor, count: int, on_positives: float) -> torch.Tensor:
    """(count,) weights summing to 1, by how often an item is a positive and a negative."""
    positive = torch.bincount(places[:, 0], minlength=count) / len(places)
    negative = torch.bincount(places[:, 1:].reshape(-1), minlength=count) / places[:, 1:].numel()
    return on_positives * positive + (1.0 - on_positives) * negative
