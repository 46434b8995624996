"""Tables of the default preset: spreads over splits, and bytes of users beside those of items."""

import pytest

from lightrec.experiments.best_tables import best_table, budgets_table

SIZES = {"items": 100, "width": 8, "bytes_per_item_all_in": 12.0, "num_codebooks": 4}
METRICS = ("recall@20", "recall@100", "ndcg@20", "ndcg@100", "ndcg")


def row(model: str, value: float, *, variant: str = "", split: int = 0, **more) -> dict:
    metrics = dict.fromkeys(METRICS, value)
    made = {"data": "shop", "model": model, "variant": variant, "split": split}
    return made | SIZES | {"bytes": 4, "bytes_per_user": 32.0} | metrics | more


def line_of(table: str, start: str) -> list[str]:
    (line,) = [line for line in table.splitlines() if line.startswith(start)]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_rows_of_several_splits_have_deviations_of_values_and_shares() -> None:
    rows = [
        *(row("teacher", value, split=split) for split, value in enumerate((0.4, 0.5))),
        *(
            row("lightrec", value, variant="table", split=split)
            for split, value in enumerate((0.38, 0.48))
        ),
        row("start_aq", 0.2, variant="table"),
    ]
    table = best_table({"rows": rows})
    assert line_of(table, "| **teacher**")[1] == "0.4500 ± 0.0707"
    # 95 and 96 per cent of the teacher on the same split
    assert line_of(table, "| **LightRec**, `table`")[1:6] == [
        "0.4300 ± 0.0707 (95.5 ± 0.7 %)"
    ] * len(METRICS)
    assert line_of(table, "| additive quantisation, `table`, split 0 only")[1] == "0.2000 (50.0 %)"


def test_rows_of_one_split_have_no_deviation() -> None:
    table = best_table({"rows": [row("teacher", 0.4), row("lightrec", 0.3, variant="fitted")]})
    assert "±" not in table
    assert line_of(table, "| **LightRec**, `fitted`")[1] == "0.3000 (75.0 %)"


@pytest.mark.parametrize("forms", [("identity", "fitted", "table"), ("table",), ()])
def test_bytes_of_a_user_stand_below_those_of_an_item(forms: tuple[str, ...]) -> None:
    rows = [row("aq", 0.1, variant="identity", bytes=size) for size in (2, 4)]
    for form in forms:
        per_user = {size: 512.0 * size if form == "table" else 1_024.0 for size in (2, 4)}
        rows += [
            row("lightrec", 0.2, variant=form, bytes=size, bytes_per_user=per_user[size])
            for size in (2, 4)
        ]
    table = budgets_table({"rows": rows})
    told = {
        form: line_of(table, f"| *bytes a user, `{form}`*")[1:]
        for form in ("identity", "fitted", "table")
        if form in forms
    }
    expected = {"identity": ["1,024"] * 2, "fitted": ["1,024"] * 2, "table": ["1,024", "2,048"]}
    assert told == {form: expected[form] for form in forms}
    assert table.count("*bytes a user") == len(forms)
    assert line_of(table, "| *bytes an item, all in*")[1:] == ["12.0", "12.0"]
