#!/usr/bin/env bash
# From a fresh clone to labels and regions of your photographs, by a model that is ready; then to a trained
# MCAR, its score beside the plain baseline's, and pictures.
#   bash tools/quickstart.sh [--active] [PHOTOS...] [--epochs 3] [--seed 0]
# --active installs into the active environment instead of .venv. Without PHOTOS three are taken that matplotlib
# and scikit-learn bring along.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd -P)
where=()
if [[ ${1:-} == --active ]]; then
  where=(--active)
  shift
fi
bash "$here/tools/install.sh" "${where[@]}"
exec "$(bash "$here/tools/install.sh" "${where[@]}" --print-python)" "$here/tools/quickstart.py" "$@"
