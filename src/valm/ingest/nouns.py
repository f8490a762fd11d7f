"""Plain rules of English nouns: plural, article; enough for names of things."""

from __future__ import annotations

import re

IRREGULAR = {
    "man": "men", "woman": "women", "child": "children", "person": "people", "foot": "feet",
    "tooth": "teeth", "goose": "geese", "mouse": "mice", "ox": "oxen", "leaf": "leaves",
    "knife": "knives", "wolf": "wolves", "loaf": "loaves", "scarf": "scarves", "shelf": "shelves",
    "calf": "calves", "hoof": "hooves", "half": "halves", "life": "lives", "wife": "wives",
    "thief": "thieves", "elf": "elves", "potato": "potatoes", "tomato": "tomatoes",
    "mosquito": "mosquitoes", "mango": "mangoes", "volcano": "volcanoes", "cactus": "cacti",
    "sheep": "sheep", "deer": "deer", "fish": "fish", "series": "series", "species": "species",
}  # fmt: skip
NOT_PLURAL = ("ss", "us", "is", "as", "os", "'s")
SILENT_H = ("hour", "honest", "honor", "honour", "heir")
SOUNDS_LIKE_YOU = ("uni", "eu", "use", "usu", "one", "once", "ute", "uka", "ura")
# Prefixed "un-" starts with a vowel sound although "uni-" usually does not.
VOWEL_UNI = ("unim", "unin", "unid")


QUALIFIER = re.compile(r" (?:of|on|in|at|with|without|over|for) ")


def plural(name: str) -> str:
    """The plural of a name, formed on its last word or the one before a preposition."""
    qualifier = QUALIFIER.search(name)
    if qualifier:
        return plural(name[: qualifier.start()]) + name[qualifier.start() :]
    start, space, word = name.rpartition(" ")
    if word in IRREGULAR:
        many = IRREGULAR[word]
    elif word.endswith("man") and word not in ("human", "german", "roman"):
        many = word[:-2] + "en"
    elif word.endswith("y") and word[-2:-1] not in tuple("aeiou"):
        many = word[:-1] + "ies"
    elif word.endswith(("s", "x", "z", "ch", "sh")):
        many = word + "es"
    else:
        many = word + "s"
    return start + space + many


def is_plural(word: str) -> bool:
    """Whether a word looks like a plural."""
    regular = word.endswith("s") and len(word) > 3 and not word.endswith(NOT_PLURAL)
    return regular or word in (
        "people",
        "men",
        "women",
        "children",
        "feet",
        "teeth",
        "mice",
        "geese",
    )


def with_article(phrase: str) -> str:
    """Put "a" or "an" before a phrase, by sound as far as spelling tells it."""
    low = phrase.lower()
    vowel = low.startswith(tuple("aeiou")) and not low.startswith(SOUNDS_LIKE_YOU)
    vowel = vowel or low.startswith(SILENT_H) or low.startswith(VOWEL_UNI)
    return f"{'an' if vowel else 'a'} {phrase}"
