"""`python -m mgmt.cli`."""

from mgmt.cli import run

run()
