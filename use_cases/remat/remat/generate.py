"""Base strings and their typed variants, deterministic by seed.

The order matters and is the point: base strings are made, made unique by their normal form, and split *before* any
of them is typed wrongly; so no variant of a training string is in the test. Whole spellings, templates, near-names
and typing errors are withheld, and come back as test sets of their own.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from . import lexicon
from .text import STRUCTURES, UNKNOWN, normal, words


@dataclass(frozen=True)
class Base:
    """A correctly typed affiliation: its structure, whether INFN is in it, and the template it came from."""

    text: str
    label: str
    infn: bool
    template: str


@dataclass(frozen=True)
class Triple:
    """One body with INFN, with nothing and with a near-name; right only if all three answers are."""

    with_infn: Base
    plain: Base
    near: Base


# Slots: I INFN, S section or group phrase, T town, U university, D department, A street, P place, C country,
# L laboratory; X another university and Q its place; F a foreign institute; N a near-name and M its place;
# I2/S2 a second structure.
SECTION_TEMPLATES: dict[str, str] = {
    "section": "{I}, {S}, {P}, {C}",
    "section-street": "{I}, {S}, {A}, {P}, {C}",
    "section-dash": "{I} - {S}, {P}, {C}",
    "section-short": "{I} {S}",
    "section-country": "{I}, {S}, {C}",
    "town-department": "{I} {T}, {D}, {T}, {C}",
    "town": "{I} {T}, {P}, {C}",
    "town-comma": "{I}, {T}, {C}",
    "town-hyphen": "{I}-{T}, {C}",
    "place": "{I}, {P}, {C}",
    "street": "{I}, {A}, {P}, {C}",
    "university-and": "{D}, {U} and {I}, {P}, {C}",
    "university-section": "{D}, {U} and {I}, {S}, {P}, {C}",
    "university-e": "{D} dell'{U} e {I}, {S}, {C}",
    "university-semicolon": "{U}, {D}, {P}, {C}; {I}, {S}, {P}, {C}",
    "university-comma": "{U}, {I}, {P}, {C}",
    "university-slash": "{U} & {I}, {D}, {P}, {C}",
    "university-after": "{I}, {S} and {U}, {P}, {C}",
    "university-after-semicolon": "{I}, {S}, {P}, {C}; {U}, {D}, {P}, {C}",
    "sezione-infn": "Sezione {I}, {T}, {C}",
    "sezione-infn-di": "Sezione {I} di {T}, {C}",
    "department-sezione": "{D} and Sezione {I}, {T}, {C}",
    "department": "{I}, {D}, {P}, {C}",
    "foreign-after": "{I}, {S}, {P}, {C}; {F}",
    "foreign-before": "{F}; {I}, {S}, {P}, {C}",
    "other-university": "{D}, {X}, {Q}, {C}, and {I}, {S}, {P}, {C}",
    "other-university-semicolon": "{X}, {D}, {Q}, {C}; {I}, {S}, {P}, {C}",
    "near-before": "{N}, {M}; {I}, {S}, {P}, {C}",
    "near-after": "{I}, {S}, {P}, {C}; {N}, {M}",
    "two-structures": "{I}, {S}, {P}, {C}; {I2}, {S2}, {C}",
    "two-structures-and": "{I} {S} and {I2} {S2}, {C}",
    "email": "{I}, {S}, {P}, {C}. E-mail: name@infn.it",
}
LABORATORY_TEMPLATES: dict[str, str] = {
    "lab": "{I}, {L}, {P}, {C}",
    "lab-space": "{I} {L}, {P}, {C}",
    "lab-dell": "{L} dell'{I}, {P}, {C}",
    "lab-infn": "{L}, {I}, {P}, {C}",
    "lab-infn-dash": "{L} - {I}, {A}, {P}, {C}",
    "lab-street": "{I}, {L}, {A}, {P}, {C}",
    "lab-sez": "{I} Sez, {L}, {P}",
    "lab-paren": "{I} ({L}), {P}, {C}",
    "lab-hyphen": "{I}-{L}, {P}, {C}",
    "lab-short": "{I} {L}",
    "lab-university": "{X}, {D}, {Q}, {C}; {I}, {L}, {P}, {C}",
    "lab-university-and": "{D}, {X} and {I}, {L}, {P}, {C}",
    "lab-after": "{I}, {L}, {P}, {C}; {X}, {D}, {Q}, {C}",
    "lab-foreign": "{F}; {I}, {L}, {P}, {C}",
    "lab-near": "{N}, {M}; {I}, {L}, {P}, {C}",
    "lab-two": "{I}, {L}, {P}, {C}; {I2}, {S2}, {C}",
    "lab-only": "{O}, {P}, {C}",
    "lab-only-street": "{O}, {A}, {P}, {C}",
}
WITHHELD_TEMPLATES: dict[str, str] = {
    "reverse": "{C}, {P}, {A}, {I}, {S}",
    "paren": "{I} ({T}), {C}",
    "town-section": "{T} Section of the {I}, {P}, {C}",
    "co": "c/o {I}, {A}, {P} - {C}",
    "slash": "{U}/{I} {T}",
    "present": "Present address: {I}, {S}, {P}, {C}",
    "numbered": "12 {D}, {U}, {P}, {C} 13 {I} {S}, {P}, {C}",
    "upper-list": "{U}; {D}; {I}; {P}; {C}",
    "member": "Member of {I}, {S}, on leave from {F}",
}
NEGATIVE_TEMPLATES: dict[str, str] = {
    "near": "{N}, {M}",
    "near-university": "{D}, {U} and {N}, {P}, {C}",
    "near-semicolon": "{U}, {D}, {P}, {C}; {N}, {M}",
    "near-foreign": "{N}, {M}; {F}",
    "near-street": "{N}, {A}, {P}, {C}",
    "near-town": "{N}, {T}, {C}",
    "university": "{U}, {D}, {P}, {C}",
    "university-first": "{D}, {U}, {A}, {P}, {C}",
    "university-short": "{U}, {C}",
    "university-two": "{U}, {D}, {P}, {C}; {X}, {Q}, {C}",
    "university-foreign": "{U}, {D}, {P}, {C}; {F}",
    "elsewhere": "{E}, {D}, {C}",
    "foreign": "{F}",
    "foreign-two": "{F}; {G}",
    "prose": "{W}",
}
_NEGATIVE_WEIGHTS = (18, 10, 8, 5, 4, 6, 12, 10, 5, 6, 5, 6, 6, 2, 1)
_SECTION_WORDS = (
    "Sezione di {}", "Sezione di {}", "Sezione di {}", "Sez {}", "Sez {}", "Sez. di {}", "Sez. {}", "Sezione {}",
    "Section of {}",
    "sezione di {}", "SEZIONE DI {}", "Sez di {}", "{} Section", "Division of {}",
)  # fmt: skip
_GROUP_WORDS = ("Gruppo Collegato di {}", "Gruppo Collegato di {}", "gruppo collegato di {}",
                "Grp Collegato {}", "Gruppo Collegato {}",
                "Gruppo Coll. di {}", "Grp Coll {}", "{} Associated Group")  # fmt: skip
# The section of each associated group, printed beside it as papers do.
_PARENTS = {"CT": "Catania", "NA": "Napoli", "RM1": "Roma 1", "PI": "Pisa", "TS": "Trieste", "PV": "Pavia",
            "MIB": "Milano Bicocca", "TO": "Torino"}  # fmt: skip
_MARKS = ("", "", "", "", "", "", "", "1 ", "a ", "(b) ", "[3] ", "12", "$^{4}$ ", "† ", "and ")


class Generator:
    """Makes base strings out of one part of the lexicon.

    Args:
        seed: the run's seed; the same seed gives the same strings.
        infn: spellings of INFN to use.
        near: near-names to use.
        withheld_names: use the sites' withheld spellings instead of the usual ones.
        withheld_templates: use the withheld templates instead of the usual ones.
    """

    def __init__(
        self,
        seed: int,
        *,
        infn: Sequence[str] = lexicon.INFN_TRAIN,
        near: Sequence[lexicon.NearName] = lexicon.NEAR_TRAIN,
        withheld_names: bool = False,
        withheld_templates: bool = False,
        purpose: str = "base",
    ) -> None:
        self._random = random.Random(f"{seed}/{purpose}")  # noqa: S311  data, not secrets
        self._infn = tuple(infn)
        self._near = tuple(near)
        self._withheld_names = withheld_names
        self._withheld_templates = withheld_templates

    def positives(self, count: int, seen: set[str]) -> list[Base]:
        """Return `count` strings that name INFN, the structures in turn; `seen` normal forms are left out."""
        sites: dict[str, list[lexicon.Site]] = {label: [] for label in STRUCTURES}
        for site in lexicon.SECTIONS:
            # A section is printed far more often than its groups.
            sites[site.label] += [site, site, site]
        for site in (*lexicon.GROUPS, *lexicon.LABORATORIES):
            sites[site.label] += [site, site] if site.kind == "group" else [site] * 5
        makers = [lambda label=label: self._positive(self._random.choice(sites[label])) for label in STRUCTURES]
        return self._collect(count, makers, seen)

    def nowhere(self, count: int, seen: set[str]) -> list[Base]:
        """Return `count` strings that name INFN and no structure of it: `infn` is true, the label Unknown."""
        patterns = ("{I}, {C}", "{I}", "{I}; {F}", "{I}, {D}, {C}", "{I}, P.O. Box {B}, {C}", "{B} {I}, {C}")

        def make() -> Base:
            text = self._fill(self._random.choice(patterns), self._random.choice(lexicon.SECTIONS))
            return Base(text, UNKNOWN, True, "nowhere")

        return self._collect(count, [make], seen)

    def negatives(self, count: int, seen: set[str], *, only_near: bool = False) -> list[Base]:
        """Return `count` strings without INFN; `only_near` keeps to those with a near-name."""
        names = list(NEGATIVE_TEMPLATES)
        pairs = [(name, weight) for name, weight in zip(names, _NEGATIVE_WEIGHTS, strict=True)
                 if not only_near or "{N}" in NEGATIVE_TEMPLATES[name]]  # fmt: skip

        def make() -> Base:
            name = self._random.choices([name for name, _ in pairs], [weight for _, weight in pairs])[0]
            site = self._random.choice((*lexicon.SECTIONS, *lexicon.GROUPS))
            return Base(self._fill(NEGATIVE_TEMPLATES[name], site), UNKNOWN, False, name)

        return self._collect(count, [make], seen)

    def triples(self, count: int, seen: set[str]) -> list[Triple]:
        """Return `count` minimal triples over the same body."""
        triples: list[Triple] = []
        while len(triples) < count:
            site = self._random.choice(lexicon.SECTIONS)
            body = self._fill("{D}, {U}", site, mark=False)
            tail = self._fill("{P}, {C}", site, mark=False)
            near = self._random.choice(self._random.choice(self._near).spellings)
            infn = self._random.choice(self._infn)
            joint = self._random.choice((" and ", ", ", " & ", " e "))
            made = Triple(
                Base(_tidy(f"{body}{joint}{infn}, {tail}"), site.label, True, "triple"),
                Base(_tidy(f"{body}, {tail}"), UNKNOWN, False, "triple"),
                Base(_tidy(f"{body}{joint}{near}, {tail}"), UNKNOWN, False, "triple"),
            )
            forms = {normal(base.text) for base in (made.with_infn, made.near)}
            if len(forms) == 2 and not forms & seen:
                seen |= forms
                triples.append(made)
        return triples

    def _collect(self, count: int, makers: Sequence[Callable[[], Base]], seen: set[str]) -> list[Base]:
        """Call the makers in turn until `count` new normal forms are there."""
        made: list[Base] = []
        attempts = 0
        while len(made) < count:
            attempts += 1
            if attempts > 400 * count + 4000:
                raise ValueError(f"only {len(made)} of {count} different strings could be made: ask for fewer")
            base = makers[attempts % len(makers)]()
            form = normal(base.text) or base.text
            if form not in seen:
                seen.add(form)
                made.append(base)
        return made

    def _positive(self, site: lexicon.Site) -> Base:
        if self._withheld_templates and site.kind in ("section", "group"):
            templates = WITHHELD_TEMPLATES
        else:
            templates = LABORATORY_TEMPLATES if site.kind in ("laboratory", "headquarters") else SECTION_TEMPLATES
        name = self._random.choice(list(templates))
        if site.kind == "headquarters":
            # "Headquarters, Roma" without INFN is anybody's.
            while "{O}" in templates[name]:
                name = self._random.choice(list(templates))
        return Base(self._fill(templates[name], site), site.label, True, name)

    def _fill(self, template: str, site: lexicon.Site, mark: bool = True) -> str:
        choice = self._random.choice
        names = site.withheld if self._withheld_names else site.names
        town = choice(names) if names else site.label
        other = choice([item for item in lexicon.SECTIONS if item.label != site.label])
        second = choice([item for item in lexicon.SECTIONS if item.label != site.label])
        near = choice(self._near)
        places = site.places
        if site.label in ("MIB", "RM2", "RM3") and not re.search(r"\{[STU]\}", template):
            # "INFN, Roma" is Rome's first section: only the postcode still says which.
            places = tuple(place for place in places if re.search(r"\d", place))
        elsewhere = choice(lexicon.TOWNS_ELSEWHERE).replace("~", ", ")
        values = {
            "I": choice(self._infn),
            "I2": choice(self._infn),
            "S": self._phrase(site, town),
            "S2": self._phrase(second, choice(second.names)),
            "T": town,
            "U": choice(site.universities) if site.universities else "",
            "D": choice(lexicon.DEPARTMENTS),
            "A": choice(site.streets),
            "P": choice(places),
            "C": choice(lexicon.COUNTRIES),
            "L": town,
            # Alone, an acronym is not enough ("LNS" is also Saclay's and MIT's): the full name or nothing.
            "O": choice([name for name in names if len(name) > 9] or list(names)),
            "X": choice(other.universities),
            "Q": choice(other.places),
            "F": choice(lexicon.FOREIGN),
            "G": choice(lexicon.FOREIGN),
            "N": choice(near.spellings),
            "M": choice(near.places),
            "E": elsewhere,
            "W": choice(lexicon.PROSE),
            "B": str(self._random.randint(10, 999)),
        }
        text = _tidy(re.sub(r"\{(\w+)\}", lambda slot: values[slot.group(1)], template))
        text = choice(_MARKS) + text if mark else text
        style = self._random.random()
        if style < 0.04:
            return text.upper()
        return text.lower() if style < 0.06 else text

    def _phrase(self, site: lexicon.Site, town: str) -> str:
        if site.kind == "section":
            return self._random.choice(_SECTION_WORDS).format(town)
        if site.kind != "group":
            return town
        phrase = self._random.choice(_GROUP_WORDS).format(town)
        parent = _PARENTS.get(site.label)
        if parent and self._random.random() < 0.3:
            return f"{phrase}, Sezione di {parent}" if self._random.random() < 0.5 else f"Sezione di {parent}, {phrase}"
        return phrase


def _tidy(text: str) -> str:
    """Close the gaps that empty slots leave."""
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r"(?:\s*,){2,}", ",", text)
    text = re.sub(r"\s+([,;.])", r"\1", text)
    text = re.sub(r"[,\s]+([;.)])", r"\1", text)
    return re.sub(r"^[\s,;.-]+|[\s,;-]+$", "", text)


# --- typing errors -----------------------------------------------------------------------------------------------
_KEYS = {
    "q": "wa", "w": "qes", "e": "wrd", "r": "etf", "t": "ryg", "y": "tuh", "u": "yij", "i": "uok", "o": "ipl",
    "p": "ol",
    "a": "qsz", "s": "adwx", "d": "sfec", "f": "dgrv", "g": "fhtb", "h": "gjyn", "j": "hkum", "k": "jli", "l": "ko",
    "z": "asx", "x": "zsc", "c": "xdv", "v": "cfb", "b": "vgn", "n": "bhm", "m": "nj",
}  # fmt: skip
_OCR = (("I", "1"), ("l", "1"), ("O", "0"), ("o", "0"), ("S", "5"), ("B", "8"), ("rn", "m"), ("m", "rn"), ("I", "l"),
        ("i", "1"),
        ("e", "c"), ("h", "b"), ("Z", "2"), ("fi", "ﬁ"), ("à", "a'"))  # fmt: skip
_HOMOGLYPHS = str.maketrans("aeopcyxIABEHKMNOPTX", "аеорсухІАВЕНКМΝОРТХ")
Typo = Callable[[str, random.Random], str]


def _swap(text: str, rng: random.Random) -> str:
    at = rng.randrange(len(text) - 1)
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


def _drop(text: str, rng: random.Random) -> str:
    at = rng.randrange(len(text))
    return text[:at] + text[at + 1 :]


def _double(text: str, rng: random.Random) -> str:
    at = rng.randrange(len(text))
    return text[: at + 1] + text[at:]


def _key(text: str, rng: random.Random) -> str:
    at = rng.randrange(len(text))
    near = _KEYS.get(text[at].lower())
    if not near:
        return text
    new = rng.choice(near)
    return text[:at] + (new.upper() if text[at].isupper() else new) + text[at + 1 :]


def _ocr(text: str, rng: random.Random) -> str:
    old, new = rng.choice(_OCR)
    places = [match.start() for match in re.finditer(re.escape(old), text)]
    if not places:
        return text
    at = rng.choice(places)
    return text[:at] + new + text[at + len(old) :]


def _unspace(text: str, rng: random.Random) -> str:
    places = [at for at, char in enumerate(text) if char == " "]
    if not places:
        return text
    at = rng.choice(places)
    return text[:at] + text[at + 1 :]


def _space(text: str, rng: random.Random) -> str:
    at = rng.randrange(len(text))
    return text[:at] + " " + text[at:]


def _unpunctuate(text: str, rng: random.Random) -> str:
    return text.replace(rng.choice(",.;-("), " ")


def _case(text: str, rng: random.Random) -> str:
    return rng.choice((str.upper, str.lower, str.title))(text)


def _shorten(text: str, rng: random.Random) -> str:
    found = list(re.finditer(r"[^\W\d_]{7,}", text))
    if not found:
        return text
    word = rng.choice(found)
    return text[: word.start() + rng.randint(4, 5)] + "." + text[word.end() :]


def _vowel(text: str, rng: random.Random) -> str:
    places = [at for at, char in enumerate(text) if char in "aeiou"]
    if not places:
        return text
    at = rng.choice(places)
    return text[:at] + rng.choice("aeiou") + text[at + 1 :]


def _homoglyph(text: str, rng: random.Random) -> str:
    at = rng.randrange(len(text))
    return text[:at] + text[at : at + 3].translate(_HOMOGLYPHS) + text[at + 3 :]


def _mojibake(text: str, rng: random.Random) -> str:
    broken = text.encode("utf-8").decode("latin-1")
    return broken if broken != text else _hyphenate(text, rng)


def _hyphenate(text: str, rng: random.Random) -> str:
    found = list(re.finditer(r"[^\W\d_]{6,}", text))
    if not found:
        return text
    word = rng.choice(found)
    at = word.start() + rng.randint(3, len(word.group()) - 3)
    return text[:at] + "- " + text[at:]


def _far_swap(text: str, rng: random.Random) -> str:
    if len(text) < 3:
        return text
    at = rng.randrange(len(text) - 2)
    return text[:at] + text[at + 2] + text[at + 1] + text[at] + text[at + 3 :]


TYPOS: tuple[Typo, ...] = (_swap, _drop, _double, _key, _ocr, _unspace, _space, _unpunctuate, _case, _shorten)
_TYPO_WEIGHTS = (16, 18, 14, 16, 10, 6, 3, 6, 5, 6)
WITHHELD_TYPOS: tuple[Typo, ...] = (_vowel, _homoglyph, _mojibake, _hyphenate, _far_swap)
_NUMERALS = {"1", "2", "3", "i", "ii", "iii", "tre", "roma1", "roma2", "roma3"}
_SPELT_OUT = re.compile(r"nazionale di fisica nucleare|nazl fis nucl|(institute|inst) (of |for )?(nuclear|nucl) phys")


def _acronyms() -> frozenset[str]:
    """Words that decide: of every near-name and structure, and the towns; a typing error may not make one."""
    tokens = {"infn", "i n f n"}
    for near in (*lexicon.NEAR_TRAIN, *lexicon.NEAR_DEV, *lexicon.NEAR_TEST):
        for spelling in near.spellings:
            tokens |= {word for word in words(spelling) if len(word) <= 7}
    for site in (*lexicon.SECTIONS, *lexicon.GROUPS, *lexicon.LABORATORIES):
        for name in (*site.names, *site.withheld, *site.places):
            tokens |= {word for word in words(name) if len(word) > 2 and not word.isdigit()}
    return frozenset(tokens - {"di", "del", "de", "of", "and", "the", "for", "sezione", "via"})


DECIDING = _acronyms() | _NUMERALS


def keeps_its_side(base: Base, typed: str) -> bool:
    """Return whether `typed` still says what `base` says, and says nothing that `base` does not.

    No token of the other side may appear (INFM from INFN, Lecce from Lecco, Roma 3 from Roma 2), and a numeral
    that decides between the sections of Rome may not vanish.
    """
    before, after = set(words(base.text)), words(typed)
    new = set(after) - before
    if new & DECIDING:
        return False
    if not base.infn and ("infn" in "".join(after) and "infn" not in "".join(words(base.text))):
        return False
    if not base.infn and _SPELT_OUT.search(" ".join(after)) and not _SPELT_OUT.search(normal(base.text)):
        return False
    return not (before & _NUMERALS) - set(after) if base.label.startswith("RM") else bool(after)


def variants(
    base: Base, count: int, seed: int, typos: Sequence[Typo] = TYPOS, weights: Sequence[int] = _TYPO_WEIGHTS
) -> Iterator[str]:
    """Yield up to `count` different wrongly typed forms of `base`, each with one to three errors."""
    rng = random.Random(hashlib.blake2b(f"{seed}/{base.text}".encode(), digest_size=8).digest())  # noqa: S311
    seen = {base.text}
    for _ in range(count * 3):
        if len(seen) > count:
            return
        typed = base.text
        for _ in range(rng.choice((1, 1, 2, 2, 3))):
            if len(typed) > 3:
                typed = rng.choices(typos, weights)[0](typed, rng)
        if typed not in seen and keeps_its_side(base, typed):
            seen.add(typed)
            yield typed


def withheld_variants(base: Base, count: int, seed: int) -> Iterator[str]:
    """Yield forms of `base` with the typing errors that training never saw."""
    return variants(base, count, seed, WITHHELD_TYPOS, (1,) * len(WITHHELD_TYPOS))


def split_of(text: str) -> str:
    """Return the split of a base string, by the hash of its normal form: 70% train, 10% dev, 20% test."""
    value = hashlib.blake2b(normal(text).encode(), digest_size=4).digest()
    share = int.from_bytes(value, "big") / 2**32
    return "train" if share < 0.7 else "dev" if share < 0.8 else "test"
