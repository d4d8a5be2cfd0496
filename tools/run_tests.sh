#!/usr/bin/env bash
# Install what the tests need (see tools/setup_env.sh), check the style, and run the tests.
#
# Usage: tools/run_tests.sh [--stack originals] [arguments of pytest, e.g. -m "not slow"]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
stack=()
if [ "${1:-}" = --stack ]; then
    stack=("${@:1:2}")
    shift "${#stack[@]}"
fi
. tools/setup_env.sh --tests "${stack[@]}"
python -m ruff check .
python -m ruff format --check .
# Two processes of one thread each take half the time of one with two.
OMP_NUM_THREADS=1 python -m pytest --numprocesses=2 "$@"
