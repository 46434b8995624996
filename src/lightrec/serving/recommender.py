"""The recommender: a trained model, asked in ids."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Mapping
from functools import cached_property
from threading import Lock
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from lightrec.artifact.contents import Model
from lightrec.errors import ArgumentError
from lightrec.progress import track
from lightrec.serving.arguments import Ids, id_list, known_rows, truth, whole_number
from lightrec.serving.availability import Availability, Shelf
from lightrec.serving.candidates import read_candidates
from lightrec.serving.explain import Explanation, explain
from lightrec.serving.queries import Queries, UserQueries, read_queries
from lightrec.serving.ranking import Ranking, ScanOrMaker, Wish
from lightrec.serving.results import Recommendations
from lightrec.serving.similar_items import SimilarItems


class Recommender:
    """Recommends from a model; needs no torch, and may be shared between threads.

    Ids are those that the model was trained with, text or integers; `5` and `"5"` are different
    ids. Scores are higher for better items and comparable within one query only.

    Args:
        model: From `lightrec.train`, `lightrec.compress` or `Model.load`.
        scan: Searches the codes, or a function of `ItemCodes` that makes what does, for this model
            and any that takes its place; the fastest that runs here when None. All give the same
            answers.
        threads: Threads for many queries at once, 0 for all available cores.

    Raises:
        ArgumentError: The scan is of another catalogue.
    """

    def __init__(self, model: Model, *, scan: ScanOrMaker | None = None, threads: int = 0) -> None:
        self._threads = whole_number(threads, "threads", at_least=0)
        self._scan, self._replacing = scan, Lock()
        self._open: _State | None = _State(model, Ranking(model, scan, self._threads))

    @property
    def model(self) -> Model:
        """The model that answers."""
        return self._state.model

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        scan: ScanOrMaker | None = None,
        threads: int = 0,
    ) -> Recommender:
        """Reads a model folder.

        Args:
            path: The folder.
            scan: As for the class.
            threads: As for the class.

        Raises:
            ArtifactError: The folder does not hold a sound model.
            ArgumentError: The scan is of another catalogue.
        """
        return cls(Model.load(path), scan=scan, threads=threads)

    def close(self) -> None:
        """Lets go of the model and of what searches it; later questions raise `ArgumentError`.

        Requests that have begun are answered, and closing again does nothing. Memory and mapped
        files are free as soon as nobody else holds the model.
        `with Recommender.load(path) as recommender:` closes it, too.
        """
        with self._replacing:
            self._open = self._scan = None

    def __enter__(self) -> Self:
        _ = self._state  # a closed one is refused
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    @property
    def _state(self) -> _State:
        state = self._open
        if state is None:
            raise ArgumentError("the recommender has been closed; load the model again")
        return state

    def recommend(
        self,
        users: Ids | None = None,
        *,
        histories: Iterable[Any] | None = None,
        vectors: npt.ArrayLike | None = None,
        k: int = 10,
        exclude_seen: bool | None = None,
        allow: Ids | None = None,
        deny: Ids | None = None,
        where: Mapping[str, Any] | None = None,
        post_ranking: int = 0,
    ) -> Recommendations:
        """The k best items of each query: exactly k, or all where fewer may be returned.

        Give exactly one of `users`, `histories` and `vectors`.

        Args:
            users: A user id, or a list, array or column of them. Where nothing is known of one (the
                vector or table is all zero), the most popular items are returned and `fallback`
                says so.
            histories: Item ids that somebody liked, or several such lists; the users need not be
                known, or may have new items since. Their vectors are fitted in closed form
                (`lightrec.serving.fold_in`): against the teacher's items where the model holds
                float items and its users are of the form `identity`, `fitted` or `table`, which
                then fit the codes as stored users do (`lightrec.serving.new_users`); else against
                the decoded items. An empty list is one empty history; where a history holds
                nothing to go by, the most popular items are returned and `fallback` says so.
            vectors: (T,) or (Q, T) numbers in the space of the teacher's user vectors.
            k: Items wanted for each query.
            exclude_seen: Whether a user's training pairs, or the items of a history, are left out.
                None leaves them out where they are known: not if the model was saved without its
                history.
            allow: Item ids; nothing else is returned.
            deny: Item ids that are never returned.
            where: Conditions on the item columns, all of which must hold: column name to a value,
                or to a list of values of which one must match (in columns of lists: one of the
                elements).
            post_ranking: Recall this many items by their codes, then order them by the product of
                float user and item vectors, which `scores` then holds. For `free` users, and
                `fitted` ones without a map, the float user vector is the stored one, which was
                fitted to the codes and not to the float items. Users of the forms `table`,
                `fitted` with a map, `linear` and `mlp` have none: the first two can ask by
                vector or history, the others by vector only. 0 for no post-ranking.

        Returns:
            Items and scores by query, in the order of the queries.

        Raises:
            UnknownIdError: A user or item id is unknown.
            ArgumentError: An argument is malformed, or needs a part that the model was saved
                without.
            ConfigError: Users are to be fitted by the model's own settings, and those are none.
        """
        state = self._state
        queries = read_queries(state.model, users, histories, vectors)
        wish = state.wish(k, exclude_seen, allow, deny, where, post_ranking)
        return state.ranking.rank(queries, wish.among(state.shelf.available))

    def recommend_all(
        self,
        users: Ids | None = None,
        *,
        histories: Iterable[Any] | None = None,
        vectors: npt.ArrayLike | None = None,
        k: int = 10,
        exclude_seen: bool | None = None,
        allow: Ids | None = None,
        deny: Ids | None = None,
        where: Mapping[str, Any] | None = None,
        post_ranking: int = 0,
        users_per_block: int = 4096,
        progress: bool = False,
    ) -> Generator[Recommendations, None, None]:
        """Recommends for every user, or for many queries, a block at a time and in their order.

        Without `users`, `histories` and `vectors`: for all users, in the order of the model. Memory
        grows with a block and not with the number of blocks, as long as the caller keeps none.

        Items set unavailable meanwhile are missing from the blocks that are made afterwards; all
        blocks are answered by the model that was there at first.

        Args:
            users: As for `recommend`, like all arguments up to `post_ranking`.
            histories: As for `recommend`.
            vectors: As for `recommend`.
            k: As for `recommend`.
            exclude_seen: As for `recommend`.
            allow: As for `recommend`.
            deny: As for `recommend`.
            where: As for `recommend`.
            post_ranking: As for `recommend`.
            users_per_block: Queries answered at a time; no effect on the answers.
            progress: Shows a progress bar when standard error is a terminal.

        Yields:
            The answers to the queries of one block; to no query at all, one block without answers.

        Raises:
            UnknownIdError: As for `recommend`.
            ArgumentError: As for `recommend`.
            ConfigError: As for `recommend`.
        """
        state = self._state
        if users is None and histories is None and vectors is None:
            queries: Queries = UserQueries(np.arange(state.model.num_users))
        else:
            queries = read_queries(state.model, users, histories, vectors)
        wish = state.wish(k, exclude_seen, allow, deny, where, post_ranking)
        size = whole_number(users_per_block, "users_per_block", at_least=1)
        starts = range(0, max(len(queries), 1), size)
        blocks = (queries.block(start, start + size) for start in starts)
        return (
            state.ranking.rank(block, wish.among(state.shelf.available))
            for block in track(blocks, "recommending", total=len(starts), enabled=progress)
        )

    def score(
        self,
        users: Ids | None = None,
        *,
        histories: Iterable[Any] | None = None,
        vectors: npt.ArrayLike | None = None,
        items: Ids,
    ) -> np.ndarray:
        """Scores of given items: those by which `recommend` (without post-ranking) orders them.

        Args:
            users: As for `recommend`; where nothing is known of one, scores are popularities.
            histories: As for `recommend`, and likewise.
            vectors: As for `recommend`.
            items: An item id or a list of them; seen items too.

        Returns:
            (Q, n) float32, in the order of queries and items.

        Raises:
            UnknownIdError: A user or item id is unknown.
            ArgumentError: An argument is malformed.
        """
        state = self._state
        queries = read_queries(state.model, users, histories, vectors)
        rows = known_rows(state.model.item_ids, id_list(items, "items"), "item")
        return state.ranking.score(queries, rows)

    def explain(
        self,
        item_id: str | int,
        *,
        user: str | int | None = None,
        history: Iterable[Any] | None = None,
        vector: npt.ArrayLike | None = None,
    ) -> Explanation:
        """Why an item has its score: what each codebook, and each item of the history, adds to it.

        Give exactly one of `user`, `history` and `vector`.

        Args:
            item_id: The item.
            user: A user id.
            history: Item ids that somebody liked.
            vector: (T,) numbers in the space of the teacher's user vectors.

        Raises:
            UnknownIdError: An id is unknown.
            ArgumentError: An argument is malformed.
        """
        state = self._state
        (row,) = known_rows(state.model.item_ids, [item_id], "item").tolist()
        histories = None if history is None else [history]
        queries = read_queries(state.model, user, histories, vector)
        return explain(state.model, state.ranking.encoder, queries, row)

    def replace_model(
        self, model: Model, *, expected: Model | None = None, scan: ScanOrMaker | None = None
    ) -> None:
        """Answers from another model from now on: an updated one, or one trained anew.

        Requests that have begun are answered by the model that they began with. Items that were
        set unavailable stay so, by their ids, also those that come back only with a later model.

        Args:
            model: For example `lightrec.updates.update(recommender.model, new_pairs).model`.
            expected: The model that this one was made from: it is replaced only if it still is the
                one that answers, so that no other thread's update is lost. Otherwise make the new
                model again, from `recommender.model`. None replaces whatever answers.
            scan: Searches the new model's codes, as for `Recommender`. By default the function that
                made the last scan makes this one too.

        Raises:
            ArgumentError: Another model than `expected` answers, the scan is of another catalogue,
                or none is given where the recommender was given one of its own.
        """
        with self._replacing:
            replaced = self._state
            if expected is not None and replaced.model is not expected:
                raise ArgumentError(
                    "the recommender's model changed meanwhile: it is not the expected one; update "
                    "recommender.model again, and replace that"
                )
            scan = self._scan if scan is None else scan
            if scan is not None and scan is self._scan and not callable(scan):
                raise ArgumentError(
                    "the recommender was given a scan, which searches the old model's codes only; "
                    "give replace_model(..., scan=...) one of the new model's, or give both a "
                    "function that makes it from item codes, such as lightrec.search.scan.make_scan"
                )
            made = _State(model, Ranking(model, scan, self._threads), replaced.availability)
            made.availability.move_to(made.shelf)
            self._scan, self._open = scan, made

    def set_available(self, items: Ids, available: bool) -> None:
        """Takes items out of all answers from now on, or back in: sold out, withdrawn, embargoed.

        Takes a moment whatever the catalogue's size, also while other threads ask. It concerns this
        object only, with any model that takes the place of this one; the model keeps the items, and
        `score` still scores them.

        Args:
            items: An item id or a list of them; of the model's items, or of such as were set
                unavailable when an earlier model had them.
            available: Whether they may be returned.

        Raises:
            UnknownIdError: An item id is unknown.
            ArgumentError: An argument is malformed.
        """
        available = truth(available, "available")
        self._state.availability.set(id_list(items, "items"), available)

    def similar_items(
        self,
        item_id: str | int,
        k: int = 10,
        *,
        allow: Ids | None = None,
        deny: Ids | None = None,
        where: Mapping[str, Any] | None = None,
    ) -> Recommendations:
        """The items whose decoded vectors have the largest cosine similarity with an item's.

        Args:
            item_id: The item, which is not returned itself.
            k: Items wanted.
            allow: As for `recommend`.
            deny: As for `recommend`.
            where: As for `recommend`.

        Returns:
            One query; scores are cosines, and items of one score are in the order of the catalogue.

        Raises:
            UnknownIdError: An item id is unknown.
            ArgumentError: An argument is malformed.
        """
        state = self._state
        (row,) = known_rows(state.model.item_ids, [item_id], "item").tolist()
        k = whole_number(k, "k", at_least=1)
        itself = np.array([row], np.int32)
        candidates = read_candidates(state.model, allow, deny, where).among(state.shelf.available)
        best = state.similar.top_k(row, k, candidates.without(itself))
        item_ids = state.model.item_ids.series
        return Recommendations(
            query_column="similar_to",
            queries=item_ids.gather([row]),
            counts=np.array([len(best)]),
            item_ids=item_ids.gather(best.rows),
            item_scores=best.scores,
            item_rows=best.rows,
            catalogue=state.model.item_columns,
        )


class _State:
    """One model and what searches it: what a request sees from its beginning to its end."""

    def __init__(
        self, model: Model, ranking: Ranking, availability: Availability | None = None
    ) -> None:
        self.model, self.ranking = model, ranking
        self.shelf = Shelf(model.item_ids)
        self.availability = availability or Availability(self.shelf)

    @cached_property
    def similar(self) -> SimilarItems:
        """Finds items like an item."""
        return SimilarItems(self.model.item_codes)

    def wish(
        self,
        k: int,
        exclude_seen: bool | None,
        allow: Ids | None,
        deny: Ids | None,
        where: Mapping[str, Any] | None,
        post_ranking: int,
    ) -> Wish:
        """The arguments of a request, read."""
        return Wish(
            k=whole_number(k, "k", at_least=1),
            candidates=read_candidates(self.model, allow, deny, where),
            exclude_seen=None if exclude_seen is None else truth(exclude_seen, "exclude_seen"),
            post_ranking=whole_number(post_ranking, "post_ranking", at_least=0),
        )
