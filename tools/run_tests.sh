#!/usr/bin/env bash
# Installs what the tests need (tools/install.sh --tests), runs the checks of the code and all tests.
set -euo pipefail

usage() {
  cat <<'EOF'
usage: bash tools/run_tests.sh [--active | --venv DIR] [PYTEST ARGUMENTS...]

  --active, --venv DIR   where to install, as in tools/install.sh
  -n PROCESSES           run tests side by side; as many as processors and at most 8 unless given
  everything else        goes to pytest: bash tools/run_tests.sh -x -k mcar
EOF
}

# Modules that Python runs before the tests, one a line.
checks=(
  'ruff check .'
  'mypy mmmlc'
)

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
where=() pytest=()
while (($#)); do
  case $1 in
    -h | --help) usage && exit 0 ;;
    --active) where+=("$1") ;;
    --venv) where+=("$1" "${2:-}") && shift ;;
    *) pytest+=("$1") ;;
  esac
  (($# == 0)) || shift
done

bash "$root/tools/install.sh" --tests ${where[@]+"${where[@]}"}
python=$(bash "$root/tools/install.sh" --print-python ${where[@]+"${where[@]}"})
cd "$root"
# Before site-packages: an environment shared by several checkouts tests the one it is called from.
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
# glibc: keep freed memory instead of mapping large tensors anew on every call.
export MALLOC_MMAP_MAX_="${MALLOC_MMAP_MAX_:-0}" MALLOC_TRIM_THRESHOLD_="${MALLOC_TRIM_THRESHOLD_:-100000000000}"
# Side by side, a processor each.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
processes=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
((processes <= 8)) || processes=8
failed=0 tests=0
for check in "${checks[@]}"; do
  read -ra words <<<"$check"
  "$python" -m "${words[@]}" || { failed=$? && printf 'run_tests.sh: failed: %s\n' "$check" >&2; }
done
"$python" -m pytest -n "$processes" --dist worksteal ${pytest[@]+"${pytest[@]}"} || tests=$?
((tests == 0)) || exit "$tests"
exit "$failed"
