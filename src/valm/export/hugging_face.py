"""``valm export``: a trained model as a folder that Hugging Face's transformers loads by itself."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import transformers

from valm.core.atomic import atomic_directory
from valm.core.digest import digest_data
from valm.core.fingerprint import code_digest
from valm.core.logs import logger
from valm.core.manifest import read_manifest, verify_files, write_manifest
from valm.errors import InputError
from valm.export.ancestry import Ancestry
from valm.export.card import model_card
from valm.export.carried_retriever import write_retriever
from valm.export.modeling_valm import ValmConfig
from valm.ingest.vocabulary.tokenizer import FILE as TOKENIZER
from valm.ingest.vocabulary.tokenizer import KIND as TOKENIZER_KIND
from valm.ingest.vocabulary.tokenizer import load_tokenizer
from valm.models.language_model import LanguageModel
from valm.report.pages.data_card import DATA_CARD_FILE, data_card
from valm.report.results import Results
from valm.train.saved_model import WEIGHTS, load_model

KIND = "export"
MANIFEST = "export.manifest.json"
FUSIONS = ("none", "joint")
ARCHITECTURES = ("fairseq", "gpt2")
MODELLING = Path(__file__).with_name("modeling_valm.py")


def export_model(
    *,
    model: Path,
    results: Path,
    output: Path,
    retriever: bool = False,
    retracted: Path = Path("config/retracted.tsv"),
) -> None:
    """Write weights, configuration, tokenizer, modelling code and both cards into a folder.

    Args:
        model: Manifest of a trained or converted model.
        results: Folder of results in which the model's ancestors and scores are looked for.
        output: The folder; an earlier export there is replaced, anything else is left alone.
        retriever: Whether what finds the model's pictures rides along.
        retracted: The list of all pictures that have been taken down, which ride along nowhere.

    Raises:
        InputError: The model's fusion is not known to the modelling file, its tokenizer is not
            among its ancestors, it has no retriever, or the output is a folder of something else.
        IntegrityError: A file differs from its manifest.
    """
    _check_replaceable(output)
    language_model, info = load_model(model)
    _check_known(language_model)
    ancestry = Ancestry.of(model, results)
    tokenizer = ancestry.only(TOKENIZER_KIND, "tokenizer")
    verify_files(tokenizer)
    words = load_tokenizer(tokenizer)
    end_of_text = words.end_of_text
    config = hugging_face_config(language_model, end_of_text)
    ends = words.entries[end_of_text]
    with atomic_directory(output) as folder:
        weights = safetensors.torch.load_file(model.parent / WEIGHTS)
        safetensors.torch.save_file(weights, folder / WEIGHTS, {"format": "pt"})
        shutil.copyfile(MODELLING, folder / MODELLING.name)
        shutil.copyfile(tokenizer.with_name(TOKENIZER), folder / TOKENIZER)
        _write(folder / "config.json", config)
        _write(folder / "tokenizer_config.json", tokenizer_config(language_model, ends))
        _write(folder / "generation_config.json", generation_config(language_model, end_of_text))
        if retriever:
            write_retriever(folder / "retriever", ancestry, retracted)
        made = read_manifest(model)
        card = model_card(made, info, ancestry, results, has_retriever=retriever)
        (folder / "README.md").write_text(card, encoding="utf-8")
        if ancestry.manifests("tokens"):  # of a study, which a converted model has not
            data = data_card(results, Results(results).study).markdown
            (folder / DATA_CARD_FILE).write_text(data, encoding="utf-8")
        files = [path for path in folder.rglob("*") if path.is_file()]
        write_manifest(
            folder / MANIFEST,
            kind=KIND,
            rows=language_model.parameter_count,
            files=files,
            producer="export",
            config_digest=digest_data({"retriever": retriever}),
            code_digest=code_digest(__name__),
            facts={"model": made.digest},  # not as a parent: paths stay on this machine
        )
    logger.info("exported %s: %s files", output, len(files) + 1)


def hugging_face_config(model: LanguageModel, end_of_text: int) -> dict[str, Any]:
    """``config.json`` of a model of ours.

    Args:
        end_of_text: Id that ends a text, and stands before the first.
    """
    trunk = model.trunk.config
    sizes = ValmConfig(
        vocab_size=len(model.output_embedding),
        hidden_size=trunk.width,
        num_hidden_layers=trunk.layers,
        num_attention_heads=trunk.heads,
        max_position_embeddings=trunk.context_tokens,
        architecture=trunk.architecture,
        positions=trunk.positions,
        joint_layer=model.fused_layers[0] if model.fused_layers else None,
        joint_scale=getattr(model.fusion.params, "scale", "sqrt_d_head"),
        null_image=getattr(model.fusion.params, "null_image", False),
        picture_width=model.value_width,
        dropout=trunk.dropout,
        bos_token_id=end_of_text,
        eos_token_id=end_of_text,
        pad_token_id=end_of_text,
    )
    where = MODELLING.stem
    stated = {name: getattr(sizes, name) for name in ValmConfig.__annotations__}
    return stated | {
        "model_type": ValmConfig.model_type,
        "transformers_version": transformers.__version__,
        "architectures": ["ValmForCausalLM"],
        "auto_map": {
            "AutoConfig": f"{where}.ValmConfig",
            "AutoModelForCausalLM": f"{where}.ValmForCausalLM",
        },
        "dtype": "float32",
    }


def tokenizer_config(model: LanguageModel, end_of_text: str) -> dict[str, Any]:
    """``tokenizer_config.json``; a text that spells the end of text stays text.

    Args:
        end_of_text: The entry that ends a text, and stands before the first.
    """
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": model.trunk.config.context_tokens,
        **dict.fromkeys(("bos_token", "eos_token", "pad_token"), end_of_text),
        "padding_side": "left",
        "split_special_tokens": True,
        "clean_up_tokenization_spaces": False,
    }


def generation_config(model: LanguageModel, end_of_text: int) -> dict[str, Any]:
    """``generation_config.json``: to the end of the text, or of the model's context."""
    ends = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), end_of_text)
    return ends | {"max_length": model.trunk.config.context_tokens, "use_cache": True}


def _check_known(model: LanguageModel) -> None:
    """The modelling file holds the fusions, and the kind of trunk, that it holds."""
    architecture = model.trunk.config.architecture
    if architecture not in ARCHITECTURES:
        raise InputError(
            f"models of the architecture {architecture!r} cannot be exported",
            cure=f"the modelling file knows {' and '.join(ARCHITECTURES)}: extend {MODELLING.name}",
        )
    if not model.objective.causal:
        raise InputError(
            f"the model learnt {model.objective_name}, and the modelling file gives next tokens only",
            cure="export a model with the objective causal_lm or prefix_lm",
        )
    if model.fusion.name not in FUSIONS:
        raise InputError(
            f"models with the fusion {model.fusion.name!r} cannot be exported",
            cure=f"the modelling file knows {' and '.join(FUSIONS)}: extend {MODELLING.name}",
        )


def _check_replaceable(output: Path) -> None:
    """Nothing is replaced but an export."""
    if not output.exists() or (output / MANIFEST).is_file():
        return
    if not output.is_dir() or any(output.iterdir()):
        raise InputError(
            "the output exists and is no export",
            where=output,
            cure="name a new folder, or remove this one yourself",
        )


def _write(path: Path, data: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n", encoding="utf-8")
