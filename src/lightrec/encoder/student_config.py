"""Settings of training through the codes: every form of the encoder, and what it learns from."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from lightrec.training.loop import LoopConfig

FIXED = ("euclidean", "dot", "scaled_dot")
"""Similarities that have no parameters of their own."""
LIKE_QUANTIZERS = ("euclidean", "biased_bilinear", "selector")
"""Similarities that choose at first as a quantiser did, whose codebooks they start from."""


class StudentConfig(LoopConfig):
    """Settings of training through the codes."""

    start: Literal["random", "rvq", "aq", "metric"] = "aq"
    """Codebooks before the first step: Glorot normal, residual k-means, additive quantisation, or
    that in the metric of the ranking."""
    selection: Literal["straight_through", "identity_straight_through", "hard", "joint"] = "joint"
    """`straight_through` is the paper's; `identity_straight_through` hands the gradient to the
    item; `hard` moves chosen codewords only; `joint` also chooses an item's codewords together
    (what additive quantisation needs)."""
    similarity: Literal[
        "euclidean",
        "dot",
        "scaled_dot",
        "bilinear",
        "plain_bilinear",
        "biased_bilinear",
        "selector",
    ] = "euclidean"
    """Between items and codewords (Eq. 5, Table 5); `joint` measures errors and does not use it."""
    recurrence: Literal["none", "subtract", "subtract_w", "w_subtract_w"] = "subtract"
    """What the next codebook is given: x, x - y, x - W y, W1 x - W2 y (Table 4)."""
    codeword_width: int | None = Field(None, ge=1)
    """Numbers in a codeword; the teacher's width when unset."""
    temperature: float = Field(0.9, gt=0)
    """T of Eq. 4."""
    final_temperature: float | None = Field(None, gt=0)
    """T in the last epoch, reached geometrically; unset, it stays what it is."""
    commitment: float = Field(0.25, ge=0)
    """Of `identity_straight_through`: the pull of items on codewords counts 1, this the reverse."""
    commitment_weight: float = Field(1.0, gt=0)
    """Of `identity_straight_through`: weight of both pulls in the loss, from which alone codewords
    learn."""
    revive_every: int = Field(0, ge=0)
    """Epochs between two revivals of codewords that no item uses; 0 never."""
    user_form: Literal["free", "identity", "linear", "mlp"] = "free"
    """P2: vectors of its own, the teacher's, or a map of the teacher's."""
    items: Literal["frozen", "trained"] = "frozen"
    """Whether the item vectors that are encoded stay the teacher's."""
    loss: Literal["bpr", "softmax"] = "bpr"
    """On the codes' scores: pairs of items (Eq. 3), or a pair against all of its negatives."""
    loss_temperature: float = Field(1.0, gt=0)
    """Scores are divided by it in the loss."""
    ranking_loss: float = Field(1.0, ge=0)
    """Weight of the loss on the codes' scores."""
    float_ranking_loss: float = Field(0.0, ge=0)
    """Weight of the same loss on the scores of trained items: joint learning."""
    embedding_distillation: float = Field(0.3, ge=0)
    """Weight of E-KD (Eq. 8)."""
    inner_product_distillation: float = Field(0.0, ge=0)
    """Weight of IP-KD (Eq. 9)."""
    ranking_distillation: float = Field(0.0, ge=0)
    """Weight of R-KD (Eq. 11)."""
    ranking_temperature: float = Field(0.5, gt=0)
    """T of Eq. 11."""
    distillation_on_positives: float = Field(1.0, ge=0, le=1)
    """Share of distillation that falls on a batch's positives; the rest on its negatives. The
    paper's 1 positive and 5 negatives give 1/6; 1 weighs items by popularity."""
    diversity: Literal["none", "frobenius", "von_neumann", "log_det"] = "none"
    """Pushes codebooks apart (section 3.3); the recurrence does without."""
    diversity_weight: float = Field(0.01, ge=0)
    """Of the logarithm of the codebooks' mean difference."""
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
    refresh_every: int = Field(1, ge=0)
    """Of `joint`: epochs between two choices of all codes; 0 keeps the codes of the start."""
    beam: int = Field(16, ge=0)
    """Of the search that chooses codes together."""
    icm_sweeps: int = Field(2, ge=0)
    """Of the search that chooses codes together."""

    @model_validator(mode="after")
    def _parts_fit_together(self) -> StudentConfig:
        through = self.selection in ("straight_through", "identity_straight_through")
        mapped = self.recurrence in ("subtract_w", "w_subtract_w")
        for wrong, message in (
            (
                mapped and not through,
                f"recurrence = '{self.recurrence}' learns from the gradient of the choice, which "
                f"selection = '{self.selection}' does not have",
            ),
            (
                self.selection == "joint" and self.recurrence != "subtract",
                "selection = 'joint' chooses all codewords together; it takes no recurrence but "
                "'subtract'",
            ),
            (
                self.items == "trained" and not through,
                f"items = 'trained' needs a gradient through the choice, which selection = "
                f"'{self.selection}' does not have",
            ),
            (
                self.float_ranking_loss > 0 and self.items != "trained",
                "float_ranking_loss trains the items; it needs items = 'trained'",
            ),
            (
                self.final_temperature is not None and self.selection != "straight_through",
                "final_temperature is of selection = 'straight_through'",
            ),
            (
                self.similarity not in FIXED and self.selection != "straight_through",
                f"similarity = '{self.similarity}' learns from the gradient of the choice; it "
                "needs selection = 'straight_through'",
            ),
            (
                self.similarity not in LIKE_QUANTIZERS
                and self.start != "random"
                and self.selection != "joint",
                f"similarity = '{self.similarity}' would not choose as the start does; with "
                f"start = '{self.start}' take one of {', '.join(LIKE_QUANTIZERS)}",
            ),
            (
                self.selection == "joint" and self.similarity != "euclidean",
                "selection = 'joint' measures errors: leave similarity at 'euclidean'",
            ),
            (
                self.start == "metric" and self.selection == "joint" and self.refresh_every > 0,
                "start = 'metric' measures errors by who ranks an item high, and a refresh does "
                "not: set refresh_every = 0",
            ),
            (
                self.revive_every > 0 and self.selection == "joint",
                "revive_every needs a selection step by step, not 'joint'",
            ),
            (
                self.selection == "identity_straight_through" and self.items != "trained",
                "selection = 'identity_straight_through' hands the gradient to the items: set "
                "items = 'trained'",
            ),
            (
                mapped and self.selection == "identity_straight_through" and self.commitment == 0,
                f"recurrence = '{self.recurrence}' learns from the pull on the items alone here: "
                "commitment must be positive",
            ),
            (
                self.ranking_distillation > 0 and self.num_negatives < 2,
                "ranking_distillation compares a user's negatives: num_negatives must be 2 or more",
            ),
        ):
            if wrong:
                raise PydanticCustomError("student_parts", "{message}", {"message": message})
        if self.codeword_width is not None:
            self._require_what_takes_two_widths()
        return self

    def _require_what_takes_two_widths(self) -> None:
        similarities = ("bilinear", "plain_bilinear", "biased_bilinear", "selector")
        for fits, what in (
            (self.start == "random", "start = 'random'"),
            (self.selection == "straight_through", "selection = 'straight_through'"),
            (self.similarity in similarities, f"similarity one of {', '.join(similarities)}"),
            (self.recurrence != "subtract", "another recurrence than 'subtract'"),
            (self.embedding_distillation == 0, "embedding_distillation = 0"),
            (self.user_form != "identity", "another user_form than 'identity'"),
            (self.float_ranking_loss == 0, "float_ranking_loss = 0"),
        ):
            if not fits:
                raise PydanticCustomError(
                    "codeword_width", "codeword_width needs {what}", {"what": what}
                )
