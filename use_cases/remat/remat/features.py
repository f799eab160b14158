"""What the model looks at: letters and words of the string, and a few rule-made observations about it.

The rules observe, the weights decide. They know how INFN and the sites are spelt in the *training* part of the
lexicon, tolerate typing errors, and note what stands where: which site is named first, which stands beside INFN or
after "Sezione di", whether "Institut National de Physique Nucléaire" goes on with "et de Physique des Particules".
Nothing here knows a spelling or a near-name that the test withholds.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from zlib import crc32

from . import lexicon
from .text import fold

HASH_BITS_INFN = 16
HASH_BITS_SITE = 17

_TOKEN = re.compile(r"[0-9a-z]+|[&,;()/:|]")
_STOP = frozenset(
    ("di", "de", "del", "della", "dell", "d", "des", "du", "da", "the", "of", "for", "per", "la", "le", "il", "l", "i",
     "a", "and", "e", "et", "y", "in", "to", "nel", "su")
)  # fmt: skip
_CONJUNCTIONS = frozenset(("and", "&", "et", "e", "y", "und"))
_BREAKS = frozenset(",;()/:|")
_SECTION = frozenset(("sez", "sezione", "section", "sect", "sezioni", "div", "division", "unit", "unita", "sezion"))
_GROUP = frozenset(("gruppo", "grp", "collegato", "coll", "collegati", "gr", "associated", "group"))
_UNIVERSITY = re.compile(r"univ|polit|polyt|studi$|ateneo|scuola|school|dip|dept|depart")
_PHYSICS_GOES_ON = re.compile(r"^(phys|fis|partic|engin|engn|energ|astro|fusion|chem|subatom|radiat|plasma)")
_ENGINEERING = re.compile(r"^(engin|engn)")
_CLASSES = (
    ("I", re.compile(r"^(ist|ins|istit)")),
    ("N", re.compile(r"^(naz|nat|nac)")),
    ("F", re.compile(r"^(fis|phys)")),
    ("U", re.compile(r"^(nuc)")),
    ("T", re.compile(r"^ital(i|$)")),
)
_STRONG = frozenset(("A:exact", "A:ocr", "A:glue", "A:split", "LF:full"))
_RESOLVED_COPIES = 6
_EVIDENCE_COPIES = 4
_KEYS = {"i": "uojk89", "n": "bmhj", "f": "dgrvct"}
_SEEMS_DIGIT = str.maketrans("1l!|", "iiii")


@lru_cache(maxsize=65536)
def _infn_like(word: str) -> str:  # noqa: PLR0911  one line per kind of error reads best
    """Return how `word` resembles INFN: exact, ocr, swap, dup, drop, key, sub, glue; or nothing."""
    if word == "infn":
        return "exact"
    size = len(word)
    if size == 4:
        if word.translate(_SEEMS_DIGIT) == "infn":
            return "ocr"
        if word in ("nifn", "ifnn", "innf"):
            return "swap"
        wrong = [(have, want) for have, want in zip(word, "infn", strict=True) if have != want]
        if len(wrong) == 1:
            return "key" if wrong[0][0] in _KEYS[wrong[0][1]] else "sub"
        return ""
    if word in ("nfn", "ifn", "inn", "inf"):
        return "drop"
    if word in ("iinfn", "innfn", "inffn", "infnn"):
        return "dup"
    if size > 5 and (word.startswith("infn") or word.endswith("infn")):
        return "glue"
    if size == 5 and any(word[:at] + word[at + 1 :] == "infn" for at in range(5)):
        return "glue" if word[:4] == "infn" or word[1:] == "infn" else "ins"
    return ""


def _deletes(word: str, depth: int) -> set[str]:
    """Return `word` and what is left of it without one (or up to `depth`) letters."""
    found = {word}
    edge = {word}
    for _ in range(depth):
        edge = {item[:at] + item[at + 1 :] for item in edge for at in range(len(item))}
        found |= edge
    return found


def _distance(left: str, right: str, most: int) -> int:
    """Return the edit distance with transpositions, or `most` + 1 as soon as it must be larger."""
    if abs(len(left) - len(right)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, one in enumerate(left, 1):
        older, before, row = before, row, [i]
        for j, two in enumerate(right, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (one != two))
            if i > 1 and j > 1 and one == right[j - 2] and left[i - 2] == two:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
    return row[-1]


# Never what a wrongly typed word is taken for: with another letter they are other institutes.
_ACRONYMS = frozenset(("infn", "infm", "lngs", "cnaf"))


class Vocabulary:
    """The words of the training base strings, to which a wrongly typed word is led back.

    A word that is in the vocabulary is never changed; INFN is never the result of a correction (a letter more or
    less makes another institute); short words are left alone.
    """

    def __init__(self, counts: dict[str, int]) -> None:
        self.counts = counts
        self._index: dict[str, list[str]] = {}
        self._memo: dict[str, str] = {}
        self._parts: dict[str, tuple[str, ...]] = {}
        for word in counts:
            if len(word) >= 4 and word not in _ACRONYMS and not word.isdigit():
                for form in _deletes(word, 2 if len(word) >= 8 else 1):
                    self._index.setdefault(form, []).append(word)

    @classmethod
    def learn(cls, texts: Iterable[str], least: int = 3) -> Vocabulary:
        """Return the vocabulary of `texts`: words that at least `least` of them have, and all words of the sites."""
        counts = Counter(word for text in texts for word in set(_TOKEN.findall(fold(text))) if word[0].isalnum())
        own = {word for phrase in _phrases() for word in phrase}
        return cls({word: count for word, count in sorted(counts.items()) if count >= least or word in own})

    def correct(self, word: str) -> str:
        """Return the known word that `word` was meant to be, or `word` itself."""
        if word in self.counts or len(word) < 4 or word.isdigit():
            return word
        known = self._memo.get(word)
        if known is None:
            known = self._nearest(word)
            if len(self._memo) < 200_000:
                self._memo[word] = known
        return known

    def parts(self, word: str) -> tuple[str, ...]:
        """Return the two known words of which `word` consists, or `word` alone."""
        if len(word) < 6 or word in self.counts or word.isdigit():
            return (word,)
        found = self._parts.get(word)
        if found is None:
            cuts = [at for at in range(2, len(word) - 2) if word[:at] in self.counts and word[at:] in self.counts]
            cuts = [at for at in cuts if at > 2 or word[:at] in _STOP]
            found = (word[: cuts[-1]], word[cuts[-1] :]) if cuts else (word,)
            if len(self._parts) < 200_000:
                self._parts[word] = found
        return found

    def _nearest(self, word: str) -> str:
        # "diRoma", "SezBari": the space is gone.
        for prefix in ("di", "sez", "sezione", "sezionedi", "univ", "naz"):
            if word.startswith(prefix) and word[len(prefix) :] in _SITE_WORDS:
                return word[len(prefix) :]
        depth = 2 if len(word) >= 8 else 1
        candidates = {item for form in _deletes(word, depth) for item in self._index.get(form, ())}
        scored = sorted(
            (distance, -self.counts[item], item)
            for item in candidates
            if (distance := _distance(word, item, depth)) <= (2 if len(item) >= 8 else 1)
            # Four letters with one wrong are too often another word: only the first letter's company counts.
            and (len(item) > 4 or item[0] == word[0])
        )
        if scored:
            return scored[0][2]
        # "Flor." and "Bolo.": the start of exactly one site's name.
        begun = [item for item in _SITE_WORDS if len(item) > len(word) and item.startswith(word)]
        return begun[0] if len(begun) == 1 else word


def _phrases() -> dict[tuple[str, ...], tuple[str, str]]:  # noqa: PLR0912  one table, filled from each list in turn
    """Return the words of each known site name with its structure and kind.

    Kinds: L laboratory, S section or group, Z postcode, U a word that only this place's universities have.
    """
    table: dict[tuple[str, ...], tuple[str, str]] = {}
    claims: dict[str, set[str]] = {}
    for site in (*lexicon.SECTIONS, *lexicon.GROUPS, *lexicon.LABORATORIES):
        for text in (*site.universities, *site.streets):
            for word in _TOKEN.findall(fold(text)):
                claims.setdefault(word, set()).add(site.label)
    for site in (*lexicon.SECTIONS, *lexicon.GROUPS):
        for name in site.names:
            if words := _words(name):
                table.setdefault(words, (site.label, "S"))
        for place in site.places:
            for word in _words(place):
                if word.isdigit() and len(word) == 5:
                    table.setdefault((word,), (site.label, "Z"))
                    table.setdefault((f"i{word}",), (site.label, "Z"))
        for text in site.universities:
            for word in _words(text):
                unique = len(claims[word]) == 1 and not word.isdigit() and len(word) > 4
                if unique and not _GENERIC.match(word):
                    table.setdefault((word,), (site.label, "U"))
    for word in ("monserrato", "fiorentino", "povo", "rende", "arcavacata", "coppito", "fisciano", "baronissi"):
        for site in (*lexicon.SECTIONS, *lexicon.GROUPS):
            if any(word in fold(place) for place in site.places):
                table[(word,)] = (site.label, "S")
    for site in lexicon.LABORATORIES:
        for word in ("frascati", "legnaro", "assergi", "caprettari"):
            if site.kind != "headquarters" and any(word in fold(text) for text in site.places):
                table[(word,)] = (site.label, "L")
        for name in site.names:
            words = _words(name)
            if len(words) == 1 or site.kind == "headquarters":
                table[words] = (site.label, "H" if site.kind == "headquarters" else "L")
    table[("gran", "sasso")] = ("LNGS", "L")
    table[("trento", "institute")] = table[("trento", "inst")] = ("TIFPA", "L")
    table[("caprettari",)] = ("AC", "H")
    # "Sud" and "Southern" name a laboratory only beside "Lab Naz".
    for word in ("sud", "south", "southern"):
        table[(word,)] = ("LNS", "?")
    return table


_LAB_ACRONYMS = {"lnf": {"LNF", "RM1"}, "lngs": {"LNGS"}, "lnl": {"LNL", "PD"}, "cnaf": {"BO"}, "tifpa": {"TIFPA"}}
_STREETS = frozenset(("via", "viale", "piazza", "piazzale", "corso", "largo", "street"))
_GENERIC = re.compile(
    r"univ|degli|studi|dipartimento|interateneo|fisica|astronomia|matematica|politecnico|polytech|politecn|scuola|normale"
    r"|super|istituto|della|eastern|science|institute|ettore|ennio|giorgi|luigi|aldo"
)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in _TOKEN.findall(fold(text)) if word[0].isalnum() and word not in ("l", "d"))


_SITE_WORDS = frozenset(word for phrase in _phrases() for word in phrase if len(word) > 3 and word.isalpha())


@dataclass(frozen=True)
class Mention:
    """A site found in the string: where, which structure, and how it was said."""

    at: int
    label: str
    kind: str


@dataclass(frozen=True)
class Reading:
    """What the rules saw: corrected words, INFN evidence, mentions, and the site that the rules would name."""

    tokens: list[str]
    raw: list[str]
    evidence: list[tuple[str, int]]
    at: int
    mentions: list[Mention]
    clause: tuple[int, int]
    resolved: str


class Reader:
    """Reads strings into features, with a vocabulary learned from the training base strings."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self._sites = _phrases()
        self._longest = max(len(words) for words in self._sites)
        self._starts = {words[0] for words in self._sites}
        self._grams: dict[str, tuple[int, ...]] = {}

    def read(self, text: str) -> Reading:
        """Return what the rules see in `text`."""
        raw = self._respaced([_unnumbered(word) for word in _TOKEN.findall(_join_split_words(fold(text)))[:400]])
        tokens = [self.vocabulary.correct(word) for word in raw]
        evidence, at = self._evidence(raw, tokens)
        mentions = self._mentions(tokens, at)
        clause = _clause(tokens, mentions, evidence, at)
        return Reading(tokens, raw, evidence, at, mentions, clause, _resolve(mentions, clause, at, tokens))

    def _respaced(self, raw: list[str]) -> list[str]:
        """Undo lost and added spaces where known words come out: "InstNucl", "G enoa"."""
        known = self.vocabulary.counts
        found: list[str] = []
        at = 0
        while at < len(raw):
            word = raw[at]
            after = raw[at + 1] if at + 1 < len(raw) else ""
            whole = word + after
            apart = len(word) == 1 or len(after) == 1 or word not in known or after not in known
            if after and apart and len(whole) > 4 and whole in known:
                found.append(whole)
                at += 2
                continue
            found += self.vocabulary.parts(word)
            at += 1
        return found

    def _evidence(self, raw: list[str], tokens: list[str]) -> tuple[list[tuple[str, int]], int]:
        """Return the kinds of evidence for INFN with their places, and the place of the first strong one (-1: none)."""
        found: list[tuple[str, int]] = []
        known = self.vocabulary.counts
        for at, word in enumerate(raw):
            like = _infn_like(word) if word == "infn" or word not in known else ""
            if not like and word in ("i", "1", "l") and raw[at + 1 : at + 4] == ["n", "f", "n"]:
                like = "exact"
            if not like and len(word) < 4 and at + 1 < len(raw) and word + raw[at + 1] == "infn":
                like = "split"
            if word == "inf" and not set(raw) & (_SECTION | _GROUP):
                continue  # as likely INFM or INAF with a letter lost
            if like:
                found.append((f"A:{like}{word if like == 'drop' else ''}", at))
        for signature, at, goes_on in _long_forms(tokens, known):
            guessed = sum(letter.islower() for letter in signature)
            letters = set(signature.upper().replace("T", "N"))
            full = {"N", "F", "U"} <= letters
            if guessed > 1 or (guessed and not full):
                continue
            # Without "national" it is one of the many institutes of nuclear physics.
            # One that goes on is another institute's, such as NIKHEF's.
            if not goes_on and (full or ("N" in letters and letters & {"F", "U"})):
                found.append((f"LF:{'full' if full else ''.join(sorted(letters - {'I'}))}", at))
        strong = [at for kind, at in found if kind in _STRONG]
        return found, min(strong or [at for _, at in found], default=-1)

    def _mentions(self, tokens: list[str], infn_at: int) -> list[Mention]:
        found: list[Mention] = []
        at = 0
        while at < len(tokens):
            if tokens[at] in self._starts:
                for size in range(min(self._longest, len(tokens) - at), 0, -1):
                    site = self._sites.get(tuple(tokens[at : at + size]))
                    if site:
                        kind = self._kind(tokens, at, size, site[1], infn_at)
                        if kind:
                            found.append(Mention(at, site[0], kind))
                        at += size - 1
                        break
            at += 1
        return found

    @staticmethod
    def _kind(tokens: list[str], at: int, size: int, kind: str, infn_at: int) -> str:  # noqa: PLR0911  a decision list
        """Refine the kind by the company: E named as section or beside INFN, V a university's town, T a town."""
        before = [token for token in tokens[max(0, at - 5) : at] if token not in _STOP]
        if kind == "?":
            around = tokens[max(0, at - 4) : at + 3]
            return "L" if any(token.startswith(("lab", "naz", "nat")) for token in around) else ""
        if kind != "S":
            return kind
        last = before[-1] if before else ""
        if last in _STREETS:
            return ""
        after = tokens[at + size] if at + size < len(tokens) else ""
        if last in _SECTION or last in _GROUP or after in _SECTION or after == "associated":
            return "E"
        if infn_at >= 0 and last and at - infn_at in (1, 2) and last not in _BREAKS:
            return "I"
        cut = max((place for place, token in enumerate(before) if token in _BREAKS), default=-1)
        if any(_UNIVERSITY.match(token) for token in before[cut + 1 :]):
            return "V"
        return "T"

    # --- features -----------------------------------------------------------------------------------------------
    def infn_features(self, reading: Reading) -> list[int]:
        """Return the hashed features of the question "is INFN in it?".

        Without any evidence nothing else is looked at: words of a name never met must not add up to INFN. With
        some, the words around it may confirm or deny it; words outside the vocabulary say nothing.
        """
        evidence = [*reading.evidence, *self._laboratories(reading)]
        names = ["none"]
        if evidence:
            tokens, known = reading.tokens, self.vocabulary.counts
            section = int(any(token in _SECTION or token in _GROUP for token in tokens))
            site = int(bool(reading.mentions))
            kinds = sorted({kind for kind, _ in evidence})
            names = []
            for copy in range(_EVIDENCE_COPIES):
                names += [f"e{copy}={kind}" for kind in kinds]
                names += [f"e{copy}={kind}&s={section}&m={site}" for kind in kinds]
            for kind, at in evidence:
                if kind in ("A:exact", "A:glue", "A:ocr"):
                    continue
                near = [token for token in tokens[max(0, at - 4) : at + 8] if token in known and token not in _STOP]
                names += [f"w={token}" for token in near if token not in _BREAKS and not token.isdigit()]
        mask = (1 << HASH_BITS_INFN) - 1
        return [crc32(name.encode()) & mask for name in dict.fromkeys(names)]

    @staticmethod
    def _laboratories(reading: Reading) -> list[tuple[str, int]]:
        """Return the evidence that the laboratories' own names are: full names, and acronyms with their town."""
        found: list[tuple[str, int]] = []
        for mention in reading.mentions:
            if mention.kind != "L":
                continue
            word = reading.tokens[mention.at]
            around = reading.tokens[max(0, mention.at - 4) : mention.at + 5]
            national = any(_class_of(token) == "N" or _like_class(token) == "n" for token in around)
            if national and any(token.startswith(("lab", "laab")) for token in around):
                found.append(("lab:full", mention.at))
            elif word == "trento":
                found.append(("lab:tifpa&town", mention.at))
            elif word in _LAB_ACRONYMS:
                # Not "LNS": that is also Saclay's, Cornell's and MIT's.
                town = _LAB_ACRONYMS[word] & {item.label for item in reading.mentions if item.at != mention.at}
                if town or len(word) > 3:
                    found.append((f"lab:{word}{'&town' if town else ''}", mention.at))
        return found

    def site_features(self, reading: Reading) -> list[int]:
        """Return the hashed features of the question "which structure?"."""
        # Several copies: what the rules resolve is worth more than one word among many.
        names = [f"R{copy}={reading.resolved}" for copy in range(_RESOLVED_COPIES)]
        seen: set[str] = set()
        for mention in reading.mentions:
            if mention.kind not in seen:
                seen.add(mention.kind)
                names.append(f"{mention.kind}1={mention.label}")
        begin, stop = reading.clause
        inside = [item for item in reading.mentions if begin <= item.at < stop]
        if inside:
            names.append(f"F={inside[0].label}")
            after = next((item for item in inside if item.at > reading.at), None)
            before = next((item for item in reversed(inside) if item.at < reading.at), None)
            if after:
                names += [f"A={after.label}", f"A={after.kind}{after.label}"]
            if before:
                names += [f"B={before.label}", f"B={before.kind}{before.label}"]
        content = [token for token in reading.tokens[begin:stop] if token not in _STOP and token not in _BREAKS]
        names += [f"w={token}" for token in content]
        names += [f"b={left} {right}" for left, right in pairwise(content)]
        mask = (1 << HASH_BITS_SITE) - 1
        found = {crc32(name.encode()) & mask for name in names}
        for token, raw in zip(reading.tokens[begin:stop], reading.raw[begin:stop], strict=True):
            # Letters count where the word is not known: known words have spoken already.
            if len(raw) > 2 and token not in self.vocabulary.counts:
                found.update(self._ngrams(raw))
        return sorted(found)

    def _ngrams(self, token: str) -> tuple[int, ...]:
        known = self._grams.get(token)
        if known is None:
            mask = (1 << HASH_BITS_SITE) - 1
            padded = f"^{token}$"
            grams = {padded[at : at + size] for size in (3, 4) for at in range(len(padded) - size + 1)}
            known = tuple(crc32(f"g={gram}".encode()) & mask for gram in sorted(grams))
            if len(self._grams) < 200_000:
                self._grams[token] = known
        return known


_HYPHENATED = re.compile(r"(?<=[a-z]{2})-\s+(?=[a-z]{2})")


def _join_split_words(folded: str) -> str:
    """Join words broken at a line's end ("Fras- cati")."""
    return _HYPHENATED.sub("", folded)


def _unnumbered(word: str) -> str:
    """Return `word` without the number of a footnote that sticks to it ("12INFN"); "1NFN" is a typing error."""
    if word[0].isdigit() and len(word) > 3 and word[-1].isalpha() and _infn_like(word) != "ocr":
        rest = word.lstrip("0123456789")
        return rest if len(rest) > 2 else word
    return word


def _long_forms(tokens: list[str], known: dict[str, int]) -> list[tuple[str, int, bool]]:
    """Find runs of the words institute, national, physics, nuclear, Italian.

    Returns for each its letters in order (I, N, F, U, T; small where a short word outside `known` is only like
    one), where it starts, and whether the name goes on with another field ("... and High Energy Physics", "et de
    Physique des Particules").
    """
    runs: list[tuple[str, int, bool]] = []
    at = 0
    while at < len(tokens):
        letters = ""
        start = at
        while at < len(tokens):
            letter = _class_of(tokens[at]) or ("" if tokens[at] in known else _like_class(tokens[at]))
            if letter:
                letters += letter
            elif not letters or tokens[at] in _CONJUNCTIONS or not (tokens[at] in _STOP or _slip(tokens[at], known)):
                break
            at += 1
        if len(letters) > 1 and not letters.islower():
            again = re.search(r"FU+F", letters.upper()) is not None  # "... Nucléaireet de Physique ..."
            runs.append((letters[:6], start, again or _goes_on(tokens, at)))
        if at == start:
            at += 1
    return runs


@lru_cache(maxsize=65536)
def _class_of(token: str) -> str:
    return next((name for name, pattern in _CLASSES if pattern.match(token)), "")


_SHORT = (("n", ("naz", "nazl", "nat", "natl")), ("f", ("fis", "phys")), ("u", ("nucl", "nuc")))


@lru_cache(maxsize=65536)
def _like_class(token: str) -> str:
    """Return the small letter of the class whose abbreviation `token` was probably meant to be."""
    if not 1 < len(token) < 6:
        return ""
    return next((name for name, shorts in _SHORT if any(_distance(token, short, 1) < 2 for short in shorts)), "")


def _slip(token: str, known: dict[str, int]) -> bool:
    """Return whether `token` is a little word typed wrongly ("id" for "di")."""
    return len(token) < 4 and token.isalpha() and token not in known


def _goes_on(tokens: list[str], at: int) -> bool:
    """Return whether a conjunction and a further field of science follow at `at`, before the next break."""
    if at >= len(tokens):
        return False
    if _ENGINEERING.match(tokens[at]):
        return True
    if tokens[at] not in _CONJUNCTIONS and not (len(tokens[at]) < 8 and tokens[at].startswith(("et", "and"))):
        return False
    for token in tokens[at + 1 : at + 7]:
        if token in _BREAKS or _UNIVERSITY.match(token) or token in _SECTION:
            return False
        if _PHYSICS_GOES_ON.match(token):
            return True
    return False


def _clause(tokens: list[str], mentions: list[Mention], evidence: list[tuple[str, int]], at: int) -> tuple[int, int]:
    """Return where the part of the string that names INFN first begins and ends.

    A ";" divides, and so does "and" before another INFN. A part without any site counts as the whole string, unless
    INFN stands in the rest too: then its own site is there, spelt beyond recognition, and the other's is not meant.
    """
    if at < 0:
        return 0, len(tokens)
    begin = next((place + 1 for place in range(at - 1, -1, -1) if tokens[place] == ";"), 0)
    again = {place for kind, place in evidence if kind in _STRONG and place > at}
    ends = (p for p in range(at, len(tokens)) if tokens[p] == ";" or (tokens[p] in _CONJUNCTIONS and p + 1 in again))
    stop = next(ends, len(tokens))
    if any(begin <= item.at < stop for item in mentions) or any(place >= stop for place in again):
        return begin, stop
    return 0, len(tokens)


def _resolve(  # noqa: PLR0911  a decision list
    mentions: list[Mention], clause: tuple[int, int], infn_at: int, tokens: list[str]
) -> str:
    """Return the structure that the rules would name: the first one named as such, else the nearest place."""
    mentions = [item for item in mentions if clause[0] <= item.at < clause[1]]
    named = [item for item in mentions if item.kind in "LHEI"]
    if named:
        first = named[0]
        if first.kind == "I" or (first.kind == "L" and tokens[first.at] == "frascati"):
            # "INFN Catania, LNS" and "INFN, Frascati, Presidenza": the finer name close behind is meant.
            for item in named[1:]:
                if item.kind in "LH" and item.at - first.at <= 5 and ";" not in tokens[first.at : item.at]:
                    return item.label
        return first.label
    if not mentions:
        return "none"
    after = [item for item in mentions if item.at > infn_at]
    before = [item for item in mentions if item.at < infn_at]
    if infn_at >= 0 and after:
        end = next((at for at in range(infn_at, len(tokens)) if tokens[at] == ";"), len(tokens))
        same = [item for item in after if item.at < end]
        exact = next((item for item in same if item.kind in "ZU"), None)
        if exact and same and {exact.label, same[0].label} <= {"RM1", "RM2", "RM3", "MI", "MIB"}:
            return exact.label
        near = [item for item in before if item.kind in "UV"]
        if same and near and {near[-1].label, same[0].label} in ({"RM1", "RM2"}, {"RM1", "RM3"}, {"MI", "MIB"}):
            return near[-1].label
        if same:
            return same[0].label
    return (before[-1] if before else mentions[0]).label
