"""The student: codes, codebooks and users learned together from pairs and from the teacher."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field

from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.item_metric import ItemMetric
from lightrec.encoder.composite_encoder import CompositeEncoder
from lightrec.encoder.distillation import (
    UserGrams,
    embedding_distillation,
    inner_product_distillation,
    ranking_distillation,
)
from lightrec.encoder.item_encoding import ItemEncoding, JointEncoding, RecurrentEncoding
from lightrec.encoder.recurrence import Subtract, SubtractDetached
from lightrec.encoder.selection import Hard, StraightThrough
from lightrec.encoder.similarity import Bilinear, Euclidean
from lightrec.encoder.user_forms import FreeUsers, IdentityUsers, UserForm
from lightrec.teachers.factors import Factors
from lightrec.training.loop import LoopConfig, Objective
from lightrec.training.losses import bpr_loss, l2_penalty
from lightrec.training.negative_sampling import Batch


class StudentConfig(LoopConfig):
    """Settings of training through the codes."""

    start: Literal["random", "rvq", "aq"] = "aq"
    """Codebooks before the first step: Glorot normal, residual k-means, additive quantisation."""
    selection: Literal["straight_through", "hard", "joint"] = "joint"
    """`straight_through` is the paper's; `hard` moves chosen codewords only; `joint` also chooses
    an item's codewords together (what additive quantisation needs)."""
    similarity: Literal["euclidean", "bilinear"] = "euclidean"
    """Between items and codewords; `joint` measures errors and does not use it."""
    temperature: float = Field(0.9, gt=0)
    """T of Eq. 4."""
    user_form: Literal["free", "identity"] = "free"
    """P2: vectors of its own, or the teacher's."""
    bpr: float = Field(1.0, ge=0)
    """Weight of the ranking loss on the codes' scores."""
    embedding_distillation: float = Field(0.3, ge=0)
    """Weight of E-KD (Eq. 8)."""
    inner_product_distillation: float = Field(0.0, ge=0)
    """Weight of IP-KD (Eq. 9)."""
    ranking_distillation: float = Field(0.0, ge=0)
    """Weight of R-KD (Eq. 11)."""
    distillation_on_positives: float = Field(1.0, ge=0, le=1)
    """Share of distillation that falls on a batch's positives; the rest on its negatives. The
    paper's 1 positive and 5 negatives give 1/6; 1 weighs items by popularity."""
    l2: float = Field(1e-3, ge=0)
    """Weight of the L2 penalty on the vectors in a batch."""
    num_negatives: int = Field(5, ge=1)
    """Negatives for each training pair."""
    pool_size: int | None = Field(1024, ge=1)
    """Items from which a batch draws its negatives; without it, from the whole catalogue."""
    learning_rate: float = Field(2e-3, gt=0)
    """Of Adam, for codebooks and users."""
    epochs: int = Field(30, ge=0)
    """Most passes over the training pairs."""
    schedule: Literal["constant", "cosine"] = "cosine"
    """Of the learning rate."""
    patience: int = Field(6, ge=1)
    """Validations without a better value before training stops."""
    beam: int = Field(16, ge=0)
    """Of the search that chooses codes together."""
    icm_sweeps: int = Field(2, ge=0)
    """Of the search that chooses codes together."""


class Student(Objective):
    """BPR on the codes' scores (Eq. 3) plus distillation (Eq. 8-11)."""

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
            similarity=lambda: _similarity(config, teacher.width, generator),
            selection=StraightThrough(config.temperature)
            if config.selection == "straight_through"
            else Hard(),
            recurrence=Subtract() if config.selection == "straight_through" else SubtractDetached(),
            generator=generator,
        )
        if start is not None:
            encoder.start_from(start.codebooks)
        items = torch.from_numpy(teacher.items)
        self.encoding: ItemEncoding
        if config.selection == "joint":
            codes = start.codes if start is not None else encoder.item_codes(items).codes
            self.encoding = JointEncoding(
                encoder,
                items,
                codes,
                metric=metric or ItemMetric.euclidean(teacher.width),
                beam=config.beam,
                icm_sweeps=config.icm_sweeps,
            )
        else:
            self.encoding = RecurrentEncoding(encoder, items)
        self.register_buffer("items", items, persistent=False)
        self.teacher_users = torch.from_numpy(teacher.users)
        forms = {"free": FreeUsers, "identity": IdentityUsers}
        self.users: UserForm = forms[config.user_form](self.teacher_users)
        self.grams = UserGrams(self.teacher_users)

    def start_epoch(self, epoch: int) -> None:
        """Lets the encoding choose codes anew."""
        self.encoding.refresh()

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        """The losses of a batch; every different item is encoded once."""
        config = self.config
        pairs = torch.cat([batch.positives[:, None], batch.negatives], dim=1)
        rows, places = torch.unique(pairs, return_inverse=True)
        encoded = self.encoding(rows)
        users = F.embedding(batch.users, self.users.all())
        chosen = F.embedding(places, encoded)
        scores = torch.einsum("nd,nld->nl", users, chosen)
        losses = {"bpr": bpr_loss(scores[:, 0], scores[:, 1:])}
        total = config.bpr * losses["bpr"]
        total = total + config.l2 * l2_penalty(users, chosen, batch_size=len(users))
        items = self.get_buffer("items")[rows]
        weights = _distillation_weights(places, len(rows), config.distillation_on_positives)
        if config.embedding_distillation:
            losses["e_kd"] = embedding_distillation(items, encoded, weights)
            total = total + config.embedding_distillation * losses["e_kd"]
        if config.inner_product_distillation:
            losses["ip_kd"] = inner_product_distillation(
                items, encoded, weights, self.grams, self.users.all()
            )
            total = total + config.inner_product_distillation * losses["ip_kd"]
        if config.ranking_distillation:
            teacher = F.embedding(batch.users, self.teacher_users)
            negatives = F.embedding(places[:, 1:], items)
            teacher_scores = torch.einsum("nd,nld->nl", teacher, negatives)
            losses["r_kd"] = ranking_distillation(teacher_scores, scores[:, 1:])
            total = total + config.ranking_distillation * losses["r_kd"]
        return {"loss": total, **losses}

    def item_codes(self) -> ItemCodes:
        """The catalogue's codes as they stand."""
        return self.encoding.item_codes()

    def user_vectors(self) -> np.ndarray:
        """P2 as it stands, (M, D) float32."""
        return self.users.all().detach().to("cpu", torch.float32, copy=True).numpy()


def _similarity(
    config: StudentConfig, width: int, generator: torch.Generator
) -> Euclidean | Bilinear:
    return Euclidean() if config.similarity == "euclidean" else Bilinear(width, generator)


def _distillation_weights(places: torch.Tensor, count: int, on_positives: float) -> torch.Tensor:
    """(count,) weights summing to 1, by how often an item is a positive and a negative."""
    positive = torch.bincount(places[:, 0], minlength=count) / len(places)
    negative = torch.bincount(places[:, 1:].reshape(-1), minlength=count) / places[:, 1:].numel()
    return on_positives * positive + (1.0 - on_positives) * negative
