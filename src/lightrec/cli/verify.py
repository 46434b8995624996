"""`lightrec verify`: is a model whole, and does it answer as its contents say?"""

from __future__ import annotations

from typing import Annotated

import typer

from lightrec.cli.options import Json, ModelPath
from lightrec.cli.terminal import show, show_json


def verify(
    model: ModelPath,
    users: Annotated[
        int,
        typer.Option(
            min=0, metavar="N", help="Users whose lists are compared; items where there are none."
        ),
    ] = 100,
    as_json: Json = False,
) -> None:
    """Check a model: every byte, every size and range, and its answers.

    Reads the whole folder against its manifest, checks that the parts fit one
    another, counts the items' popularity again, and compares the fast search
    with the slow reference. Exit code 0: sound; 4: not, and the message says
    what is wrong.

    Never copy over a model in use: copy it under a new name, verify it there,
    then change the names, as docs/model-folder.md shows.

    Examples:
      lightrec verify model
      lightrec verify model --users 1000 && rsync -a model/ server:/models/new/
      lightrec verify /models/new && mv --exchange -T /models/new /models/model
    """
    from lightrec.artifact import load_model_and_manifest
    from lightrec.updates.self_check import self_check

    loaded, manifest = load_model_and_manifest(model)
    checked = self_check(loaded, users=users, progress=True)
    num_bytes = sum(file.num_bytes for file in manifest.files.values())
    if as_json:
        show_json(
            {
                "sound": True,
                "model_digest": loaded.digest,
                "files": len(manifest.files),
                "bytes": num_bytes,
                "users_compared": checked.users_compared,
                "items_compared": checked.items_compared,
                "k": checked.k,
                "pairs_counted": checked.pairs_counted,
            }
        )
        return
    compared = f"{checked.users_compared:,} users"
    if checked.items_compared:
        compared = f"{checked.items_compared:,} items' decoded vectors"
    show(f"{model} is sound: {len(manifest.files)} files, {num_bytes:,} bytes as the manifest says")
    show(
        f"  {loaded.num_items:,} items, {loaded.num_users:,} users; top {checked.k} of "
        f"{compared} as the reference finds them"
    )
    if checked.pairs_counted is not None:
        show(f"  popularity counted again from {checked.pairs_counted:,} training pairs")
