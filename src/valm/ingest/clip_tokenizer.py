"""OpenAI CLIP's vocabulary (49,408 entries) as open_clip ships it, in the ``tokenizers`` format."""

from __future__ import annotations

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

# CLIP's rule: contractions, runs of letters, single digits, runs of other signs; no spaces.
PIECES = r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"
WORD_END = "</w>"


def clip_bpe(start_of_text: str, end_of_text: str) -> Tokenizer:
    """CLIP's byte-level BPE with its ids: 49,406 starts and 49,407 ends a text.

    Unlike ``open_clip.SimpleTokenizer``, a text that spells one of these two is encoded as text.

    Args:
        start_of_text: Name to give to entry 49,406.
        end_of_text: Name to give to entry 49,407.
    """
    from open_clip import SimpleTokenizer  # loads torch, which no other tokenizer needs

    clip = SimpleTokenizer()
    names = {clip.sot_token_id: start_of_text, clip.eot_token_id: end_of_text}
    vocabulary = {names.get(token, text): token for text, token in clip.encoder.items()}
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
