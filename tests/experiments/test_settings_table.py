"""The page of settings: defaults as they are written, and none where there is none."""

from lightrec.experiments.settings_table import settings_table


def test_settings_without_a_default_say_so() -> None:
    table = settings_table()
    assert "Undefined" not in table
    assert "| `parts` | must be given | The teachers whose scores are added up. |" in table
    assert "| `weights` | must be given | What each counts" in table
    assert "| `budget_minutes` | `20.0` |" in table
