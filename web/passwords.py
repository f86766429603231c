"""Passwords: argon2id, and nothing else."""

from __future__ import annotations

from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from errors import InvalidInput

MIN_LENGTH = 12
MAX_LENGTH = 1000  # characters; hashing more is work for an attacker to give us
_hasher = PasswordHasher()


def hash_password(password: str) -> str:
    """Raises ``InvalidInput`` for a password too short to be one. No other rules: those make worse passwords."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        message = f"The password must have {MIN_LENGTH} to {MAX_LENGTH} characters."
        raise InvalidInput(message, {"password": f"use {MIN_LENGTH} to {MAX_LENGTH} characters"})
    return _hasher.hash(password)


def matches(password: str, stored: str | None) -> bool:
    """Takes as long for an account that does not exist or has no password, so that the time tells nothing."""
    try:
        _hasher.verify(stored or _nobody(), password[: MAX_LENGTH + 1])
    except (VerificationError, InvalidHashError):
        return False
    return stored is not None


@cache
def _nobody() -> str:
    return _hasher.hash("nobody has this password")
