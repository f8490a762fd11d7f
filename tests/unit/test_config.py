"""The configuration: strict, merged over the default, with errors that name the cure."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from valm.cli.registries import REGISTRIES, checked_study
from valm.config.document import default_yaml, documents
from valm.config.parameter_keys import keys_of
from valm.config.study import Study, load_study, merge, parse_study
from valm.config.verbs import VERBS, section_for
from valm.core.registry import Registry
from valm.errors import ConfigError

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("path", documents(), ids=str)
def test_generated_documents_have_not_drifted(path: Path) -> None:
    same = (ROOT / path).read_text(encoding="utf-8") == documents()[path]
    assert same, "a generated document differs from the settings models; run: valm write-config"


def test_the_written_default_reads_back_as_the_default() -> None:
    assert parse_study(yaml.safe_load(default_yaml())) == Study()


def test_every_shipped_study_is_valid() -> None:
    for study in sorted((ROOT / "config/studies").glob("*.yaml")):
        checked = checked_study([ROOT / "config.yaml", study])
        assert checked.study == study.stem


@pytest.mark.parametrize(
    "data, message",
    [
        ({"train": {"optimiser": {"learing_rate": 1}}}, "did you mean 'learning_rate'"),
        ({"retrive": {}}, "did you mean 'retrieve'"),
        (
            {"retrieve": {"presets": [{"name": "fixed", "index": "exct"}]}},
            "'exct' of the preset 'fixed' is not among indices; did you mean 'exact'",
        ),
        ({"retrieve": {"presets": []}}, "retrieve.presets"),
        ({"retrieve": {"top_k": 0}}, "retrieve.top_k"),
        ({"models": {"trunk": {"width": 190}}}, "not a multiple of heads"),
        ({"models": {"variants": [{"name": "x", "fusoin": {}}]}}, "did you mean 'fusion'"),
    ],
)
def test_wrong_keys_and_values_are_named(data: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse_study(data)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "data, message",
    [
        ({"evaluate": {"tasks": ["color"]}}, r"evaluate.tasks.*did you mean 'colour'"),
        ({"evaluate": {"samples": {"shapes": 3}}}, r"evaluate.samples.*did you mean 'shape'"),
        ({"models": {"variants": [{"name": "a"}, {"name": "a"}]}}, "listed twice"),
        (
            {"retrieve": {"presets": [{"name": "a"}, {"name": "a"}]}},
            "'a' is listed twice.*retrieve.presets",
        ),
        (
            {"models": {"variants": [{"name": "a", "preset": "fixt"}]}},
            "'a' reads the pictures of the preset 'fixt'.*did you mean 'fixed'",
        ),
        (
            {
                "models": {"variants": [{"name": "a", "pictures": "text_state"}]},
                "retrieve": {"presets": [{"name": "lean", "text_states": False}]},
            },
            "'a' reads text states, and its preset keeps none",
        ),
        (
            {"models": {"variants": [{"name": "a", "top_k": 5}]}},
            "'a' reads 5 pictures a token, retrieve.top_k finds 4",
        ),
        (
            {"models": {"variants": [{"name": "a", "pictures": "oracle"}]}},
            "'a' cannot be trained on the oracle's pictures",
        ),
        (
            {"embed": {"encoder": {"name": "two_tower", "params": {"hiden_width": 8}}}},
            r"'hiden_width' \[embed.encoder.params\].*did you mean 'hidden_width'",
        ),
        (
            {"embed": {"encoder": {"name": "two_tower", "params": {"text": {"step": 8}}}}},
            r"'step' \[embed.encoder.params.text\].*did you mean 'steps'",
        ),
        (
            {
                "models": {
                    "variants": [
                        {"name": "a"} | {"fusion": {"name": "joint", "params": {"scal": 2.0}}}
                    ]
                }
            },
            r"'scal' \[models.variants\[\].fusion.params\].*did you mean 'scale'",
        ),
        (
            {
                "models": {
                    "variants": [{"name": "a"} | {"fusion": {"name": "none", "params": {"k": 1}}}]
                }
            },
            r"'k' \[models.variants\[\].fusion.params\] -> it takes none",
        ),
        (
            {
                "models": {
                    "trunk": {"layers": 3},
                    "variants": [
                        {"name": "a", "fusion": {"name": "joint", "params": {"layer_from_end": 4}}}
                    ],
                }
            },
            "'a' reads pictures in layer 4 from the end, the trunk has 3 .*1, the last, to 3",
        ),
        (
            {"models": {"trunk": {"architecture": "gpt3"}}},
            r"models.trunk.architecture.*did you mean 'gpt2'",
        ),
        (
            {"models": {"variants": [{"name": "a", "objective": "masked"}]}},
            "objective.*did you mean 'masked_lm'",
        ),
        (
            {
                "models": {
                    "trunk": {
                        "positions": "learned",
                        "init_from": {"checkpoint": "openai-community/gpt2", "sha256": "0" * 64},
                    }
                }
            },
            "starts from 'openai-community/gpt2', .* the study's is of the kind 'bpe'.*kind: hub",
        ),
    ],
)
def test_wrong_plugin_names_are_named(data: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match="(?s)" + message):
        checked_study(data)


def keys_below(model: type[BaseModel]) -> dict[str, Any]:
    fields = {name: field.annotation for name, field in model.model_fields.items()}
    nested = {n: a for n, a in fields.items() if isinstance(a, type) and issubclass(a, BaseModel)}
    return {name: keys_below(nested[name]) if name in nested else None for name in fields}


@pytest.mark.parametrize("path", ["embed.encoder", "models.variants[].fusion"])
def test_the_keys_read_from_a_plugin_s_source_are_those_of_its_params(path: str) -> None:
    registry: Registry[Any] = REGISTRIES[path]
    known = {name: keys_of(registry.module(name)) or {} for name in registry.names()}
    assert known == {name: keys_below(registry.get(name).parameters) for name in registry.names()}
    assert any(known.values())


def test_a_study_is_checked_without_torch() -> None:
    code = (
        "import sys; from pathlib import Path; from valm.cli.registries import checked_study;"
        "checked_study([Path('config.yaml'), Path('config/studies/tiny.yaml')]);"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_lists_replace_and_mappings_merge() -> None:
    base = {"a": {"x": 1, "y": [1, 2]}, "b": 1}
    assert merge(base, {"a": {"y": [3]}}) == {"a": {"x": 1, "y": [3]}, "b": 1}


def test_what_dvc_writes_without_quotes_reads_as_it_was() -> None:
    text = {"decontaminate": yaml.safe_load("off")}  # false, by YAML 1.1
    assert parse_study({"ingest": {"text": text}}) == Study()


def test_unreadable_files_are_config_errors(tmp_path: Path) -> None:
    for text in ("a: [", "- 1", "\tx"):
        (tmp_path / "c.yaml").write_text(text)
        with pytest.raises(ConfigError):
            load_study([tmp_path / "c.yaml"])
    with pytest.raises(ConfigError):
        load_study([tmp_path / "missing.yaml"])


def test_a_verb_is_handed_only_what_it_reads() -> None:
    study = parse_study({"retrieve": {"presets": [{"name": "fixed"}, {"name": "parity"}]}})
    section = section_for(study, "find-neighbours", preset="parity", split="train")
    assert set(section) == {"retrieve.presets", "retrieve.top_k"}
    assert [preset["name"] for preset in section["retrieve.presets"]] == ["parity"]
    with pytest.raises(ConfigError, match="did you mean 'parity'"):
        section_for(study, "find-neighbours", preset="party")


def test_training_one_model_reads_neither_the_others_nor_the_list_of_seeds() -> None:
    small = Study()
    other = small.model_copy(update={"train": small.train.model_copy(update={"seeds": [1, 2, 3]})})
    assert section_for(small, "train-model", model="valm") == section_for(
        other, "train-model", model="valm"
    )
    (variant,) = section_for(small, "train-model", model="valm")["models.variants"]
    assert variant["name"] == "valm"


def test_every_verb_reads_keys_that_exist() -> None:
    for verb in VERBS:
        section_for(Study(), verb)


def test_another_tasks_sample_is_no_reason_to_prepare_a_task_anew() -> None:
    settings = {"samples": {"shape": 5, "topic": None}, "words": {"topic": 9}}
    study = parse_study({"evaluate": settings})
    section = section_for(study, "prepare-task", task="shape")
    assert section == {"evaluate.samples": {"shape": 5}, "evaluate.words": {}}
    section = section_for(study, "prepare-task", task="topic")
    assert section == {"evaluate.samples": {"topic": None}, "evaluate.words": {"topic": 9}}
    with pytest.raises(ConfigError, match="greater than 0"):
        parse_study({"evaluate": {"samples": {"shape": 0}}})
