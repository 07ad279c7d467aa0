"""Password hashes."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgmt.store.passwords import hash_password, verify_password


@settings(max_examples=20)
@given(st.text(), st.text())
def test_only_the_password_itself_matches(password, other):
    """A hash matches its password and no other text."""
    made = hash_password(password, random.Random(1))
    assert verify_password(password, made)
    assert verify_password(other, made) == (other == password)


def test_a_hash_hides_the_password_and_has_its_own_salt():
    """Two hashes of one password differ and do not show it."""
    source = random.Random(1)
    first, second = hash_password("password", source), hash_password("password", source)
    assert first != second
    assert "password" not in first


@pytest.mark.parametrize("broken", ["", "!", "a$b$c$d", "pbkdf2_sha256$1$zz$00", "pbkdf2_sha256$0$00$00"])
def test_a_malformed_hash_matches_nothing(broken):
    """A text that is no hash, such as that of a user without a password, matches no password."""
    assert verify_password("", broken) is False


def test_another_scheme_matches_nothing():
    """A hash under another name is not taken."""
    made = hash_password("password", random.Random(1))
    assert verify_password("password", made.replace("pbkdf2_sha256", "md5")) is False
