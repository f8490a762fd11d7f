"""A byte-level BPE trained on the study's text, lower-case, with a space at the front of words."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from valm.errors import ConfigError

# Contractions, words and signs with the space before them, and each digit alone.
PIECES = r"'(?:s|t|re|ve|m|ll|d)\b| ?\p{L}+| ?\p{N}| ?[^\s\p{L}\p{N}]+"
# A whole word is shown to the trainer once in this many words of text, so that its pieces are among
# the most frequent pairs whatever the size of the text.
WORDS_PER_WHOLE_WORD = 500


def train_bpe(
    texts: Iterable[str], vocabulary_size: int, whole_words: Sequence[str], end_of_text: str
) -> Tokenizer:
    """Train a vocabulary in which each of some words, after a space, is one token.

    Args:
        texts: The training text.
        vocabulary_size: Entries, the 256 bytes and the end of text included.
        whole_words: Lower-case words that must be one token.
        end_of_text: Name of the entry that no text is encoded to.

    Raises:
        ConfigError: The vocabulary is too small to hold the whole words.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Lowercase(),
            normalizers.NFC(),
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Strip(),
            normalizers.Prepend(" "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[end_of_text],
        show_progress=False,
    )
    tokenizer.train_from_iterator(_with_whole_words(texts, whole_words), trainer)
    tokenizer = _without_special_tokens(tokenizer)
    broken = [word for word in whole_words if len(tokenizer.encode(word).ids) != 1]
    if broken:
        raise ConfigError(
            f"a vocabulary of {vocabulary_size} is too small for the answers {', '.join(broken)}",
            where="ingest.tokenizer.vocabulary_size",
            cure="make it larger",
        )
    return tokenizer


def _with_whole_words(texts: Iterable[str], whole_words: Sequence[str]) -> Iterator[str]:
    words = 0
    for text in texts:
        words += text.count(" ") + 1
        yield text
    for _ in range(words // WORDS_PER_WHOLE_WORD + 1):
        yield " ".join(whole_words)


def _without_special_tokens(tokenizer: Tokenizer) -> Tokenizer:
    """Keep special tokens as mere entries of the vocabulary, which no text can spell."""
    data = json.loads(tokenizer.to_str())
    return Tokenizer.from_str(json.dumps(data | {"added_tokens": []}))
