"""Finding what looks like a secret's value in a file that must never hold one."""

import math
import re
from collections import Counter
from typing import Final


#: Forms that issuers give their credentials, and keys in PEM.
_FORMS: Final = re.compile(
    r"-----BEGIN|\beyJ[A-Za-z0-9_-]{8,}\.|\bAKIA[0-9A-Z]{12,}|\b[rsp]k_(?:live|test)_\w{8,}|\bgh[pousr]_\w{20,}"
    r"|\bAIza[\w-]{20,}|\bxox[abprs]-\w{8,}|\b\d{8,10}:[\w-]{30,}|\bya29\.[\w-]{8,}|://[^/\s:@]+:[^/\s@]+@"
)
_WORD: Final = re.compile(r"[A-Za-z0-9+/=_-]{20,}")

#: Bits per character from which a long word is no word: English with underscores stays below, random text above.
_RANDOM: Final = 3.6
_HEX: Final = re.compile(r"(?:0x)?[0-9a-f]{24,}", re.IGNORECASE)


def looks_like_a_value(text: str) -> bool:
    """Whether text has the form of a credential, or holds a long random word."""
    return bool(_FORMS.search(text)) or any(_is_random(word) for word in _WORD.findall(text))


def _is_random(word: str) -> bool:
    if _HEX.fullmatch(word):
        return True
    kinds = [any(map(test, word)) for test in (str.islower, str.isupper, str.isdigit)]
    counted = Counter(word)
    entropy = -sum(n / len(word) * math.log2(n / len(word)) for n in counted.values())
    return entropy > _RANDOM and sum(kinds) > 2 and not re.fullmatch(r"(?:[A-Z]+[0-9]*|[a-z]+[0-9]*)(?:[_-].*)?", word)
