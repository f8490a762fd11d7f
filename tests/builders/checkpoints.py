"""Tiny checkpoints of others' models as transformers saves them, with vocabularies to match."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tokenizers
import torch
import transformers
from tokenizers import models, normalizers, pre_tokenizers, processors, trainers

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
TEXTS = [
    "the color of a lemon is yellow", "a plum is purple and a frog is green", "It is red, blue, grey?",
    "the shape of the ball is round; a box is square.", "is a house bigger than a mouse? yes no",
]  # fmt: skip


def word_pieces(extra: list[str]) -> transformers.PreTrainedTokenizerFast:
    """BERT's kind of vocabulary: letters, some words, and ``extra`` entries."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,?!:;'/-"
    entries = [*SPECIAL, *letters, *(f"##{letter}" for letter in letters), *extra]
    core = tokenizers.Tokenizer(
        models.WordPiece({entry: n for n, entry in enumerate(entries)}, unk_token="[UNK]")
    )
    core.normalizer = normalizers.BertNormalizer(lowercase=True)
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    pair = [("[CLS]", entries.index("[CLS]")), ("[SEP]", entries.index("[SEP]"))]
    core.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=pair)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=core, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        pad_token="[PAD]", mask_token="[MASK]", model_max_length=48,
    )  # fmt: skip


def byte_pairs() -> transformers.PreTrainedTokenizerFast:
    """GPT-2's kind of vocabulary: nothing is put around a text, a space belongs to its word."""
    core = tokenizers.Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=330, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet
    )
    core.train_from_iterator(TEXTS, trainer)
    end = "<|endoftext|>"
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token=end, eos_token=end, model_max_length=1024
    )


def gpt2(folder: Path, **sizes: Any) -> Path:
    """A random GPT-2."""
    words = byte_pairs()
    settings = {"n_layer": 2, "n_embd": 16, "n_head": 2, "n_positions": 24} | sizes
    config = transformers.GPT2Config(
        vocab_size=len(words), bos_token_id=0, eos_token_id=0, **settings
    )
    return saved(folder, transformers.GPT2LMHeadModel(config), words)


def opt(folder: Path) -> Path:
    """A random OPT, whose positions begin behind two that are never used."""
    words = byte_pairs()
    config = transformers.OPTConfig(
        vocab_size=len(words), hidden_size=16, word_embed_proj_dim=16, ffn_dim=32,
        num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=24, bos_token_id=0,
        eos_token_id=0, pad_token_id=0,
    )  # fmt: skip
    return saved(folder, transformers.OPTForCausalLM(config), words)


def bert(folder: Path, extra: list[str], family: str = "Bert") -> Path:
    """A random BERT, or another model of its shape, with a head for masked tokens."""
    words = word_pieces(extra)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
             "intermediate_size": 32, "max_position_embeddings": 48}  # fmt: skip
    config = getattr(transformers, f"{family}Config")(vocab_size=len(words), **sizes)
    kind = "ForPreTraining" if family == "VisualBert" else "ForMaskedLM"
    return saved(folder, getattr(transformers, f"{family}{kind}")(config), words)


def clip_text(folder: Path) -> Path:
    """A random text tower of CLIP."""
    words = word_pieces(["red", "green"])
    end = words.sep_token_id
    config = transformers.CLIPTextConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=48, projection_dim=8, eos_token_id=end,
        bos_token_id=words.cls_token_id, pad_token_id=0,
    )  # fmt: skip
    return saved(folder, transformers.CLIPTextModelWithProjection(config), words)


def saved(folder: Path, model: Any, words: Any) -> Path:
    """Save both, every weight (norms and biases too) away from where it starts."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder
