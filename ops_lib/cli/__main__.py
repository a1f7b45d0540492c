"""`python -m ops_lib.cli`: the command line where the script is not installed."""

from ops_lib.cli import main

main()
