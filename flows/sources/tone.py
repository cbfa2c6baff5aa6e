"""The tone of a central bank's statement: hawkish against dovish phrases, counted.

After Apel and Blix Grimaldi (2012), "The Information Content of Central Bank Minutes", Sveriges Riksbank
Working Paper 261: a noun of the economy next to a word of direction is a phrase; more, higher, stronger and
faster is hawkish, the opposite dovish. Theirs are minutes, with an adjective right before its noun. The
FOMC says "inflation has moved up", so here a phrase is a noun and the nearest word of direction in the same
clause, and the labour market counts too (as in Apel, Blix Grimaldi and Hull 2022, Journal of Money, Credit
and Banking), with the sign turned for unemployment and slack. The word lists below are this project's own.
"""

import re

REACH = 6  # words between a noun and its word of direction
NOUNS = re.compile(
    r"inflation|prices?|wages?|costs?|growth|activity|output|demand|spending|investment|economy|conditions"
    r"|employment|jobs?|gains"
)
INVERTED = re.compile(r"unemployment|slack|underutilization")
HAWKISH = re.compile(
    r"increas\w*|high\w*|strong\w*|strength\w*|fast\w*|accelerat\w*|rapid\w*|elevated|ris(?:e|es|en|ing)|rose"
    r"|up|pick(?:ed|ing)|robust|solid|firm\w*|improv\w*|expand\w*|expansion"
)
DOVISH = re.compile(
    r"decreas\w*|low(?:er|ered|est)?|weak\w*|slow\w*|declin\w*|f[ae]ll\w*|down|downward|soft\w*|subdued|eas(?:ed|ing)"
    r"|diminish\w*|moderat(?:ed|ing|ion)|contract\w*|reduc\w*|depressed|drop\w*|deteriorat\w*"
)
# what the committee wants, fears or does is not what it sees: goals, risks and its own instruments
SKIPPED = re.compile(
    r"\b(?:risks?|objectives?|goals?|mandate|seeks?|price stability|target range|vot(?:ing|ed))\b"
)
CLAUSE = re.compile(r"[.;,:()\n]+")
WORD = re.compile(r"[a-z]+(?:-[a-z]+)*")


def tone(text: str) -> float | None:
    """Hawkish minus dovish phrases as a share of both, in -1..1; `None` where the text has neither."""
    signs = [sign for clause in CLAUSE.split(text.lower()) for sign in phrases(clause)]
    return sum(signs) / len(signs) if signs else None


def phrases(clause: str) -> list[int]:
    """+1 for each hawkish and -1 for each dovish phrase of one clause."""
    if SKIPPED.search(clause):
        return []
    words = WORD.findall(clause)
    found = [(at, sign) for at, word in enumerate(words) if (sign := direction(word))]
    signs = []
    for at, word in enumerate(words):
        noun = 1 if NOUNS.fullmatch(word) else -1 if INVERTED.fullmatch(word) else 0
        near = min(found, key=lambda one: abs(one[0] - at), default=None)
        if noun and near and abs(near[0] - at) <= REACH:
            signs.append(noun * near[1])
    return signs


def direction(word: str) -> int:
    """+1 for a word of more, -1 for one of less, else 0."""
    return 1 if HAWKISH.fullmatch(word) else -1 if DOVISH.fullmatch(word) else 0
