"""`python -m mgmt.cli`."""

from mgmt.cli import main

main(prog_name="cloudstack-mock")
