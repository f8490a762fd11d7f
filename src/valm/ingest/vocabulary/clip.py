"""OpenAI CLIP's vocabulary (49,408 entries) as open_clip ships it, in the ``tokenizers`` format."""

from __future__ import annotations

import html
from collections.abc import Sequence

import ftfy
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from valm.ingest.text.cleaning import NOTHING_TO_MEND

# CLIP's rule: contractions, runs of letters, single digits, runs of other signs; no spaces.
PIECES = r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"
WORD_END = "</w>"


def clip_cleaned(text: str) -> str:
    """A text as CLIP's BPE reads it: mended, entities resolved twice, single spaces, lower-case."""
    if not NOTHING_TO_MEND.fullmatch(text):
        text = html.unescape(html.unescape(ftfy.fix_text(text)))
    return " ".join(text.split()).lower()


def clip_bpe(start_of_text: str, end_of_text: str, before: Sequence[str] = ()) -> Tokenizer:
    """CLIP's byte-level BPE with its ids: 49,406 starts and 49,407 ends a text.

    Unlike ``open_clip.SimpleTokenizer``, a text that spells one of these two is encoded as text.

    Args:
        start_of_text: Name to give to entry 49,406.
        end_of_text: Name to give to entry 49,407.
        before: Entries that no text can spell, put before CLIP's, whose ids they move up.
    """
    from open_clip import SimpleTokenizer  # loads torch, which no other tokenizer needs

    clip = SimpleTokenizer()
    names = {clip.sot_token_id: start_of_text, clip.eot_token_id: end_of_text}
    ids = {names.get(token, text): token + len(before) for text, token in clip.encoder.items()}
    vocabulary = {entry: token for token, entry in enumerate(before)} | ids
    merges = sorted(clip.bpe_ranks, key=clip.bpe_ranks.__getitem__)
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, end_of_word_suffix=WORD_END))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFC(),
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Strip(),
            normalizers.Lowercase(),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    space = pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str(" ")[0][0]
    tokenizer.decoder = decoders.Sequence([decoders.Replace(WORD_END, space), decoders.ByteLevel()])
    return tokenizer
