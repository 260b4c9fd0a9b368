"""`random`: internal keys and webhook secrets that are valid because the secret says so."""

import random
import secrets
import string
from typing import Final

from ..rotator import BadSettings, Job, Overlap, RotatorError


_ALPHABETS: Final = {
    "letters-digits": string.ascii_letters + string.digits,
    "hex": "0123456789abcdef",
    "digits": string.digits,
    "base64url": string.ascii_letters + string.digits + "-_",
}

#: Bits that nobody guesses.
_FEWEST_BITS: Final = 128


class RandomValue:
    """Make a value that nobody can guess.

    Both the value before and the new one are valid for whoever holds them, so receivers declare an overlap.

    Args:
        length: characters after the prefix; bytes where `encoding` is raw.
        alphabet: one of letters-digits, hex, digits, base64url; or `bytes`, and the value is raw bytes.
        prefix: stands before each value.
        source: of randomness; the operating system's.

    Raises:
        BadSettings: what could be guessed (fewer than 128 bits), or is not known.
    """

    overlap: Overlap = "until revoked"
    one_at_a_time = False

    def __init__(
        self,
        *,
        length: int = 32,
        alphabet: str = "letters-digits",
        prefix: str = "",
        source: random.Random | None = None,
    ) -> None:
        letters = _ALPHABETS.get(alphabet, "")
        if not letters and alphabet != "bytes":
            raise BadSettings(f"random: alphabet is one of {', '.join([*_ALPHABETS, 'bytes'])}")
        if not 0 < length <= _LONGEST:
            raise BadSettings(f"random: length is a number up to {_LONGEST}")
        bits = length * 8 if not letters else length * _bits(len(letters))
        if bits < _FEWEST_BITS:
            raise BadSettings(f"random: {length} characters of {alphabet} could be guessed; take more")
        self._length = length
        self._letters = letters
        self._prefix = prefix.encode()
        self._source = source or secrets.SystemRandom()

    def create(self, _job: Job) -> bytes:
        """See `Rotator.create`."""
        if not self._letters:
            return self._prefix + self._source.randbytes(self._length)
        return self._prefix + "".join(self._source.choice(self._letters) for _ in range(self._length)).encode()

    def apply(self, _job: Job, _candidate: bytes) -> None:
        """Nothing: it is valid where the secret is read."""

    def test(self, _job: Job, candidate: bytes) -> None:
        """See that there is a value; a rolled back one may have been made by people, in any form."""
        if not candidate:
            raise RotatorError("the candidate is empty", refused=True)

    def revoke(self, _job: Job, _old: bytes) -> None:
        """Nothing: a disabled version is valid nowhere."""


_LONGEST: Final = 4096


def _bits(letters: int) -> float:
    return (letters - 1).bit_length() - (0 if letters & (letters - 1) == 0 else 1)
