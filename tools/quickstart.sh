#!/usr/bin/env bash
# From a fresh clone to a trained MCAR, its score beside the plain baseline's, and pictures.
#   bash tools/quickstart.sh [--active] [--epochs 3] [--seed 0]
# --active installs into the active environment instead of .venv.
set -euo pipefail
cd "$(dirname "$0")/.."
where=()
if [[ ${1:-} == --active ]]; then
  where=(--active)
  shift
fi
bash tools/install.sh "${where[@]}"
exec "$(bash tools/install.sh "${where[@]}" --print-python)" tools/quickstart.py "$@"
