"""The vocabulary that the language model and the encoder's text tower share.

All kinds are ``tokenizers`` files with the same properties: lower-case, each digit a token of its
own, a word the same tokens wherever it stands, and an end of text that no text can spell. A published
vocabulary (``hub``) keeps its case and its numbers.

``clip_fairseq`` is CLIP's vocabulary as the official language model numbers it: fairseq's four entries
before CLIP's, and ``</s>`` at the end of a text (VALM.md 2.2).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

import tokenizers

from valm.config.ingest import Split, TextSource
from valm.config.ingest import Tokenizer as Settings
from valm.core.atomic import write_text
from valm.core.job import Job
from valm.core.logs import logger
from valm.core.manifest import read_manifest
from valm.ingest.probes import answer_words
from valm.ingest.text.corpus import SPLITS, Corpus, draw_documents, survey
from valm.ingest.text.fairseq import END_OF_LINE, SPECIAL_ENTRIES
from valm.ingest.vocabulary.bpe import train_bpe
from valm.ingest.vocabulary.clip import clip_bpe, clip_cleaned
from valm.ingest.vocabulary.hub import hub_bpe

KIND = "tokenizer"
FILE = "tokenizer.json"
# What splits words here and not in ``tokenizers``, which takes these for signs.
OTHER_SPACES = re.compile("[\x1c-\x1f]")
WORDS_REMEMBERED, LONGEST_REMEMBERED = 1 << 18, 64  # some 60 MB
START_OF_TEXT, END_OF_TEXT = "<|startoftext|>", "<|endoftext|>"


class Tokenizer:
    """Text to ids and back.

    Args:
        core: A byte-level BPE whose vocabulary holds an end of text as an entry that no merge
            reaches, so that a text which contains its characters cannot end its document.
        kind: Kind of the vocabulary, as in ``ingest.tokenizer``.
        end: Name of the entry that ends a text.

    Attributes:
        entries: The entries by id.
        end_of_text: Id of the entry that ends a text.
    """

    def __init__(self, core: tokenizers.Tokenizer, kind: str, end: str):
        vocabulary = core.get_vocab()
        self._core = core
        self._by_words = kind in ("bpe", "clip", "clip_fairseq")
        self._known: dict[str, list[int]] = {}
        self._clean = clip_cleaned if kind == "clip_fairseq" else str
        self.entries = sorted(vocabulary, key=vocabulary.__getitem__)
        self.end_of_text = vocabulary[end]
        self.vocabulary_size = len(self.entries)
        self.longest_token = max(map(len, self.entries))  # in bytes, one character each

    def normalise(self, text: str) -> str:
        """The text as the tokens spell it: lower-case, NFC, single spaces."""
        return str(self._core.normalizer.normalize_str(self._clean(text))).strip()

    def encode(self, text: str) -> list[int]:
        """Ids of a text, without end of text."""
        return list(self._core.encode(self._clean(text)).ids)

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of several texts, many times faster than one by one.

        In our own vocabularies and CLIP's, spaces only part words, so that a text's ids are those of
        its words, and a word's ids are remembered.
        """
        cleaned = [self._clean(text) for text in texts]
        if not self._by_words:
            return [encoding.ids for encoding in self._core.encode_batch_fast(cleaned)]
        words = [[text] if OTHER_SPACES.search(text) else text.split() for text in cleaned]
        known = self._known
        unknown = list({word: None for text in words for word in text if word not in known})
        if len(known) + len(unknown) > WORDS_REMEMBERED:
            known.clear()
            unknown = list({word: None for text in words for word in text})
        for word, encoding in zip(unknown, self._core.encode_batch_fast(unknown), strict=True):
            known[word] = encoding.ids
        ids = [list(chain.from_iterable(map(known.__getitem__, text))) for text in words]
        for word in unknown:
            if len(word) > LONGEST_REMEMBERED:
                del known[word]
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """The normalised text of ids; a newline where a text ends."""
        texts: list[list[int]] = [[]]
        for token in ids:
            if token == self.end_of_text:
                texts.append([])
            else:
                texts[-1].append(token)
        return "\n".join(self._core.decode(part).strip() for part in texts)

    def token_text(self, token: int) -> str:
        """One token's characters, its space included; parts of a character as replacement marks."""
        if token == self.end_of_text:
            return self.entries[token]
        return str(self._core.decode([token]))


def load_tokenizer(manifest: Path) -> Tokenizer:
    """Load the tokenizer that ``train-tokenizer`` wrote."""
    facts = read_manifest(manifest, KIND).facts
    core = tokenizers.Tokenizer.from_file(str(manifest.with_name(FILE)))
    return Tokenizer(core, facts["kind"], str(core.id_to_token(facts["end_of_text_id"])))


def train_tokenizer(job: Job, *, text: Sequence[Path], output: Path) -> None:
    """Write ``tokenizer.json``: a published vocabulary, or one trained on the study's training split.

    Args:
        text: Manifests of the text sources. A source's cap holds here too, in words.
        output: ``tokenizer.manifest.json``.
    """
    settings = job.settings("ingest.tokenizer", Settings)
    end = SPECIAL_ENTRIES[END_OF_LINE] if settings.kind == "clip_fairseq" else END_OF_TEXT
    if settings.kind == "hub":
        core, end = hub_bpe(settings.checkpoint, settings.revision)
    elif settings.kind == "clip":
        core = clip_bpe(START_OF_TEXT, END_OF_TEXT)
    elif settings.kind == "clip_fairseq":
        core = clip_bpe(START_OF_TEXT, END_OF_TEXT, before=SPECIAL_ENTRIES)
        # clip_cleaned does more; this is for those who read the file alone.
        core.normalizer = tokenizers.normalizers.Lowercase()
    else:
        sources = job.value("ingest.text.sources", list[TextSource])
        split = job.settings("ingest.text.split", Split)
        corpus = survey(text, split, job.value("ingest.text.documents", str))
        core = _trained(corpus, settings, sources)
    tokenizer = Tokenizer(core, settings.kind, end)
    target = output.with_name(FILE)
    write_text(target, core.to_str() + "\n")
    answers = {word: len(tokenizer.encode(word)) for word in answer_words()}
    facts = {
        "kind": settings.kind,
        "end_of_text_id": tokenizer.end_of_text,
        "answers_of_several_tokens": [word for word, tokens in answers.items() if tokens > 1],
    }
    rows = tokenizer.vocabulary_size
    job.finish(output, kind=KIND, rows=rows, files=[target], parents=text, facts=facts)
    logger.info("%s vocabulary of %s entries", settings.kind, f"{rows:,}")


def _trained(
    corpus: Corpus, settings: Settings, sources: Sequence[TextSource]
) -> tokenizers.Tokenizer:
    caps = dict.fromkeys(corpus.names) | {s.name: s.maximum_tokens for s in sources}
    chosen = draw_documents(corpus, corpus.words, caps) & (corpus.split == SPLITS.index("train"))
    texts = (document for _, document in corpus.read(chosen))
    return train_bpe(texts, settings.vocabulary_size, answer_words(), END_OF_TEXT)
