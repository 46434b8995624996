"""`lightrec data`: public data sets, listed and fetched."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lightrec.cli.options import Json
from lightrec.cli.terminal import in_words, show, show_json, show_next, show_table
from lightrec.errors import ArgumentError

if TYPE_CHECKING:
    from lightrec.downloads.sources import DataSource

_VARIABLE = "LIGHTREC_DATA"  # public_datasets.DATA_VARIABLE, which --help must not load

data = typer.Typer(
    name="data",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@data.callback()
def _data() -> None:
    """List the paper's public data sets, or get one.

    Examples:
      lightrec data list
      lightrec data get movielens-1m --out data
    """


@data.command(name="list")
def list_sets(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="One set, with its licence and addresses."),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the public data sets: what they are, and whether they are here.

    They are here where LIGHTREC_DATA names a folder with NAME/interactions.parquet.

    Examples:
      lightrec data list
      lightrec data list movielens-10m
    """
    from lightrec.downloads.get import is_there
    from lightrec.downloads.sources import DATA_SOURCES, data_source

    sources = list(DATA_SOURCES.values()) if name is None else [data_source(name)]
    root = os.environ.get(_VARIABLE)
    present = {one.name: bool(root) and is_there(one, Path(root or "")) for one in sources}
    if as_json:
        show_json([_contents(one) | {"here": present[one.name]} for one in sources])
        return
    if name is not None:
        _show_one(sources[0], here=present[name])
        return
    rows = [
        (
            one.name,
            "here" if present[one.name] else ("no" if one.unavailable else "to get"),
            one.description,
            one.checksum or one.unavailable,
        )
        for one in sources
    ]
    show_table(("name", _VARIABLE, "what it is", "checked by"), rows)
    show_next(
        "lightrec data list movielens-1m", f"lightrec data get movielens-1m --out {_folder(root)}"
    )


@data.command()
def get(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As lightrec data list names it.")],
    given: Annotated[
        list[Path] | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="The publisher's file, downloaded by hand, or a folder of them; may be repeated. "
            "Nothing is fetched.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Data folder.", show_default=_VARIABLE),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Fetch it anew, though it is there.")
    ] = False,
) -> None:
    """Fetch a public data set from its publisher and convert it.

    DIR/NAME gets interactions.parquet and, for most sets, items.parquet, where
    lightrec experiment finds them if LIGHTREC_DATA names DIR. Mind each set's
    licence: lightrec data list NAME shows it.

    Only https is used. A download that broke off goes on where it stopped when
    the command is given again. MovieLens publishes MD5 checksums beside its
    files, which are fetched and compared; for the other sets the first download
    is trusted, its SHA-256 is kept in DIR/NAME/download.json, and a later
    download has to be the same. Numbers of users, items and pairs are compared
    with the published ones in every case.

    This was tested against a server of its own and on small files; it has not
    yet been run against the real hosts.

    Examples:
      lightrec data get movielens-1m --out data
      lightrec data get movielens-10m --from ml-10m.zip --out data
    """
    from lightrec.downloads.get import get_dataset
    from lightrec.downloads.sources import data_source
    from lightrec.downloads.transfer import Transfer

    source = data_source(name)
    root = os.environ.get(_VARIABLE)
    if out is None and not root:
        raise ArgumentError(f"say where the set goes: --out DIR, or set {_VARIABLE}")
    folder = out or Path(root or "")
    get_dataset(
        source, folder, given=given or (), transfer=Transfer(progress=True), again=again, tell=show
    )
    show(f"licence: {source.licence}")
    show(f"cite: {source.citation}")
    prefix = "" if root and Path(root) == folder else f"{_VARIABLE}={in_words(folder)} "
    table = in_words(folder / name / "interactions.parquet")
    items = folder / name / "items.parquet"
    described = f" --items {in_words(items)}" if items.is_file() else ""
    movielens = any(file.md5_url for file in source.files)  # which has ratings
    bound = " --rating-above 3" if movielens else ""
    show_next(
        f"{prefix}lightrec data list",
        f"lightrec train {table}{described}{bound} --out model",
    )


def _show_one(source: DataSource, *, here: bool) -> None:
    show(f"{source.name}: {source.description}")
    show(f"  here: {'yes' if here else 'no'}")
    show(f"  page: {source.page}")
    show(f"  licence: {source.licence}")
    show(f"  cite: {source.citation}")
    if source.unavailable:
        show(f"  cannot be fetched: {source.unavailable}")
        return
    if source.note:
        show(f"  note: {source.note}")
    for file in source.files:
        show(f"  file: {file.url}")
        if file.md5_url:
            show(f"  checksum: {file.md5_url}")
    show(f"  checked by: {source.checksum}")


def _contents(source: DataSource) -> dict[str, Any]:
    return {
        "name": source.name,
        "description": source.description,
        "page": source.page,
        "licence": source.licence,
        "cite": source.citation,
        "files": [{"url": file.url, "md5_url": file.md5_url} for file in source.files],
        "checked_by": source.checksum,
        "unavailable": source.unavailable,
        "note": source.note,
    }


def _folder(root: str | None) -> str:
    return in_words(root) if root else "data"
