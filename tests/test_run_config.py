"""The run's configuration: presets, files, keywords, and errors that name the key."""

import pytest
from pydantic import ValidationError

from lightrec.errors import ConfigError
from lightrec.run_config import PRESETS, RunConfig, load_config
from lightrec.teachers.bpr import BprConfig
from lightrec.teachers.choice import AutoConfig
from lightrec.teachers.fit import BlendConfig
from lightrec.teachers.ials import IalsConfig
from lightrec.teachers.sampled_softmax import SampledSoftmaxConfig


def toml(tmp_path, text: str):
    file = tmp_path / "run.toml"
    file.write_text(text)
    return file


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_files_that_load(preset: str) -> None:
    config = load_config(preset)
    assert config.codes.num_codebooks == 4
    assert config.codes.num_codewords == 256  # 32 bits


def test_the_default_preset_chooses_its_teacher_and_takes_no_gradient_step_for_the_codes() -> None:
    config = load_config()
    assert config == load_config("default")
    assert config.teacher.kind == "auto"
    assert config.student is None
    assert config.users.form == "auto"
    assert config.metric.kind == "user_gram"  # what the metric of the ranking starts from
    assert not config.keep_float_items


def test_the_trained_preset_learns_codes_by_gradient_from_additive_quantisation() -> None:
    config = load_config("trained")
    assert (config.teacher.kind, config.teacher.width) == ("bpr", 32)
    student = config.student
    assert (student.start, student.selection, student.user_form) == ("aq", "joint", "free")


def test_the_papers_preset_is_the_papers_method() -> None:
    student = load_config("paper").student
    assert student.start == "random"
    assert student.selection == "straight_through"
    assert student.temperature == 0.9
    assert (student.user_form, student.num_negatives, student.learning_rate) == ("free", 5, 1e-3)
    teacher = load_config("paper").teacher
    assert teacher.kind == "bpr"
    assert (teacher.width, teacher.learning_rate, teacher.l2) == (32, 1e-3, 1e-3)
    assert (teacher.num_negatives, teacher.batch_size) == (5, 1024)


def test_a_file_changes_the_preset_key_by_key(tmp_path) -> None:
    file = toml(tmp_path, "seed = 3\n[student]\nepochs = 2\n[validation]\nby = 'random'\n")
    config, preset = load_config("paper", file), load_config("paper")
    assert (config.seed, config.student.epochs, config.validation.by) == (3, 2, "random")
    changed = {"epochs": 2}
    assert config.student == preset.student.model_copy(update=changed)
    assert config.teacher == preset.teacher


def test_settings_of_a_stage_within_a_stage_are_changed_key_by_key(tmp_path) -> None:
    file = toml(tmp_path, "[users]\nform = 'table'\n[users.fit]\nrounds = 2\n")
    config, preset = load_config("default", file), load_config("default")
    assert (config.users.form, config.users.fit.rounds) == ("table", 2)
    assert config.users.fit == preset.users.fit.model_copy(update={"rounds": 2})
    assert config.users.tolerance == preset.users.tolerance


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("kind = 'ials'\nwidth = 8\nsweeps = 3", IalsConfig(width=8, sweeps=3)),
        ("kind = 'bpr'\nwidth = 8", BprConfig(width=8)),
        ("kind = 'sampled_softmax'\ntemperature = 0.2", SampledSoftmaxConfig(temperature=0.2)),
        ("budget_minutes = 1", AutoConfig(budget_minutes=1)),
        (
            "kind = 'blend'\nweights = [1, 0.5]\nparts = [{kind = 'ials'}, {kind = 'bpr'}]",
            BlendConfig(parts=(IalsConfig(), BprConfig()), weights=(1.0, 0.5)),
        ),
    ],
)
def test_the_kind_says_which_teachers_settings_these_are(tmp_path, settings, expected) -> None:
    assert load_config("default", toml(tmp_path, f"[teacher]\n{settings}\n")).teacher == expected


def test_keywords_win_over_the_file(tmp_path) -> None:
    file = toml(tmp_path, "seed = 3\n[student]\nepochs = 2\nbeam = 5\n")
    config = load_config("trained", file, seed=4, student={"epochs": 1})
    assert (config.seed, config.student.epochs, config.student.beam) == (4, 1, 5)


def test_a_student_says_itself_which_form_its_users_have(tmp_path) -> None:
    """`users.form` would be ignored beside it, in silence."""
    with pytest.raises(ConfigError, match=r"users\.form = 'table'.*student\.user_form"):
        load_config("trained", toml(tmp_path, "users.form = 'table'\n"))
    assert load_config("trained", student={"user_form": "identity"}).users.form == "auto"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("sed = 1", "sed"),
        ("[student]\nepoch = 1", "student.epoch"),
        ("[student]\nepochs = -1", "student.epochs"),
        ("[codes]\nnum_codewords = 257", "codes.num_codewords"),
        ("[teacher]\nwidth = 8", "teacher.auto.width"),  # of a teacher of another kind
        ("[teacher]\nwidths = []", "teacher.auto.widths"),
        ("[teacher]\nbudget_minutes = 'long'", "teacher.auto.budget_minutes"),
        ("[teacher]\nkind = 'bpr'\nlearning_rate = 'fast'", "teacher.bpr.learning_rate"),
        ("[teacher]\nkind = 'best'", "teacher: .*'best'.*'sampled_softmax', 'ials', 'bpr'"),
        ("[ranking]\ncells = 257", "ranking.cells"),
        ("[users]\nform = 'free'", "users.form"),
        ("[users.fit]\nrounds = 0", "users.fit.rounds"),
        ("[validation]\nshare = 1.0", "validation.share"),
        ("[student]\nselection = 'soft'", "student.selection"),
        ("student = 3", "student"),
        ("seed = ", "run.toml: cannot be read as TOML"),
    ],
)
def test_faults_name_the_file_and_the_key(tmp_path, text: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named) as found:
        load_config("default", toml(tmp_path, text))
    assert "run.toml" in str(found.value)
    assert found.value.exit_code == 2


@pytest.mark.parametrize("value", ["inf", "nan"])
def test_a_learning_rate_must_be_a_number_to_train_with(tmp_path, value: str) -> None:
    with pytest.raises(ConfigError, match=r"teacher\.bpr\.learning_rate"):
        load_config("trained", toml(tmp_path, f"[teacher]\nlearning_rate = {value}"))


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml"):
        load_config("default", tmp_path / "none.toml")


def test_an_unknown_preset_is_told_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'fast'.*default, kde, paper, trained"):
        load_config("fast")


def test_faults_in_keywords_are_named() -> None:
    with pytest.raises(ConfigError, match=r"codes\.rounds"):
        load_config(codes={"rounds": -1})


def test_the_digest_tells_configurations_apart_and_nothing_else() -> None:
    config = load_config()
    assert config.digest() == load_config().digest()
    assert RunConfig.model_validate_json(config.model_dump_json()).digest() == config.digest()
    assert load_config(seed=1).digest() != config.digest()
    assert load_config(ranking={"identity": 0.03}).digest() != config.digest()
    assert load_config(keep_float_items=True).digest() != config.digest()
    trained = load_config("trained")
    assert load_config("trained", student={"l2": 0.002}).digest() != trained.digest()
    assert load_config("trained", teacher={"l2": 0.002}).digest() != trained.digest()
    assert len(config.digest()) == 64


def test_what_follows_the_teacher_is_told_without_it() -> None:
    config = load_config("default", seed=7)
    whole = config.model_dump()
    told = config.without_teacher()
    assert told == {name: whole[name] for name in ("seed", "codes", "metric", "ranking", "users")}
    assert config.without_teacher(users=False) == {k: v for k, v in told.items() if k != "users"}


def test_a_configuration_cannot_be_changed_behind_its_digest() -> None:
    config = load_config("trained")
    with pytest.raises(ValidationError):
        config.seed = 1
    with pytest.raises(ValidationError):
        config.student.epochs = 1
    with pytest.raises(ValidationError):
        config.teacher.width = 1


def test_another_kind_of_teacher_replaces_the_presets_settings(tmp_path) -> None:
    file = tmp_path / "run.toml"
    file.write_text('[teacher]\nkind = "ials"\nwidth = 24\n')
    assert load_config("trained", file).teacher == IalsConfig(width=24)
    file.write_text("[teacher]\nwidth = 24\n")  # the same kind: merged
    assert load_config("trained", file).teacher == BprConfig(width=24)
