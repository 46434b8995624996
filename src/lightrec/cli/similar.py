"""`lightrec similar`: items like an item."""

from __future__ import annotations

from typing import Annotated

import typer

from lightrec.cli.options import AllowedItems, Conditions, DeniedItems, Json, K, ModelPath
from lightrec.cli.queries import read_filters
from lightrec.cli.ranked_lists import show_ranked


def similar(
    model: ModelPath,
    item: Annotated[str, typer.Option(metavar="ID", help="Item of the model.")],
    k: K = 10,
    allow: AllowedItems = None,
    deny: DeniedItems = None,
    where: Conditions = None,
    as_json: Json = False,
) -> None:
    """Show the items most similar to an item.

    Scores are cosines of the items' decoded vectors, from -1 to 1.

    Examples:
      lightrec similar model --item 0345339681
      lightrec similar model --item 0345339681 -k 3 --where category=Crime
    """
    from lightrec.serving import Recommender

    recommender = Recommender.load(model)
    loaded = recommender.model
    filters = read_filters(loaded, allow, deny, where)
    found = recommender.similar_items(loaded.item_ids.parse(item), k, **filters)
    show_ranked([found], loaded, as_json=as_json)
