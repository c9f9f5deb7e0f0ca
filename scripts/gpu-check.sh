#!/bin/sh
# Check a GPU in at most ten minutes; the results are in runs/gpu-check. Without one:
#     scripts/gpu-check.sh --device cpu --quick
set -eu
cd "$(dirname "$0")/.."
if [ -x .venv/bin/python ]; then python=.venv/bin/python; else python=${PYTHON:-python3}; fi
PYTHONPATH="src${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONPATH
if command -v timeout > /dev/null; then limit='timeout 600'; else limit=; fi
exec $limit "$python" -m benchmarks.gpu "$@"
