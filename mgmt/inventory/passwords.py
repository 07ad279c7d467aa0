"""Password hashes for those above the store; the code is below, where seeding needs it."""

from mgmt.store.passwords import hash_password, verify_password

__all__ = ["hash_password", "verify_password"]
