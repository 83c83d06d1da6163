#!/usr/bin/env bash
# Installs mmmlc and what it runs on. Run it again at any time: what is there is kept.
set -euo pipefail

usage() {
  cat <<'EOF'
usage: bash tools/install.sh [--tests | --full] [--active | --venv DIR]

Installs mmmlc (editable) with torch, the OpenMMLab packages and OpenCV, and checks that they work.

  --tests        also what the tests need
  --full         the same, and mmcv's operators compiled (about 12 minutes on 2 cores, once: the wheel
                 is kept in ~/.cache/mmmlc/wheels); without them torchvision's are used
  --active       into the active environment (conda, venv, container) instead of .venv; a torch >= 2.4
                 that is there stays as it is
  --venv DIR     into the virtual environment DIR instead of .venv (or set MMMLC_VENV)
  --print-python print the interpreter that would be used, and stop
  -h, --help     this text

environment: PYTHON, the interpreter to start from (>= 3.10); MAX_JOBS, compilers at a time;
TORCH_CUDA_ARCH_LIST, GPU architectures to compile for; PIP_INDEX_URL and so on, as pip reads them.
EOF
}

fail() {  # fail MESSAGE...: one line per argument, then the way out
  printf '\ninstall.sh: %s\n' "$1" >&2
  shift
  (($# == 0)) || printf '  %s\n' "$@" >&2
  exit 1
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
mode=run active='' venv="${MMMLC_VENV:-$root/.venv}" print_python=''
while (($#)); do
  case $1 in
    --tests) [[ $mode == full ]] || mode=tests ;;
    --full) mode=full ;;
    --active) active=yes ;;
    --venv)
      [[ -n ${2:-} ]] || fail '--venv needs a folder'
      venv=$2
      shift
      ;;
    --print-python) print_python=yes ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && printf '\ninstall.sh: unknown option %s\n' "$1" >&2 && exit 2 ;;
  esac
  shift
done
[[ $venv == /* ]] || venv="$PWD/$venv"

version_of() { "$1" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null; }
new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; }
has_pip() { "$1" -m pip --version >/dev/null 2>&1; }

find_python() {  # sets base_python: the first Python >= 3.10 that can make a virtual environment
  local candidate old='' no_venv=''
  local candidates=(python3 python3.13 python3.12 python3.11 python3.10)
  [[ -z ${PYTHON:-} ]] || candidates=("$PYTHON")
  for candidate in "${candidates[@]}"; do
    if ! new_enough "$candidate"; then
      old+="${old:+, }$candidate is $(version_of "$candidate" || echo 'not there')"
    elif ! "$candidate" -c 'import venv, ensurepip' 2>/dev/null; then
      no_venv=$candidate
    else
      base_python=$candidate
      return
    fi
  done
  [[ -z $no_venv ]] || fail "$no_venv ($(version_of "$no_venv")) lacks the module venv." \
    "Debian, Ubuntu: apt-get install python$(version_of "$no_venv" | cut -d. -f1,2)-venv"
  fail "no Python >= 3.10 found ($old)." \
    'Install one (apt-get install python3 python3-venv; conda create -n mmmlc python=3.11), or name' \
    'it: PYTHON=/path/to/python3.11 bash tools/install.sh'
}

make_venv() {
  local base_python
  find_python
  # What an interrupted run left may be made again; a folder of something else may not.
  [[ ! -e $venv || -f $venv/pyvenv.cfg || -z $(find "$venv" -type f -print -quit) ]] ||
    fail "$venv is not a virtual environment, and not empty." 'Name another folder by --venv.'
  printf 'Virtual environment %s (%s, %s)\n' "$venv" "$base_python" "$(version_of "$base_python")"
  "$base_python" -m venv --clear "$venv"
}

if [[ -n $active ]]; then
  python=${PYTHON:-$(command -v python || command -v python3 || true)}
  new_enough "${python:-python}" || fail \
    "the active Python (${python:-none}) is $(version_of "${python:-python}" || echo missing), not >= 3.10." \
    'Activate an environment with Python >= 3.10, or leave --active out.'
else
  python="$venv/bin/python"
fi
[[ -z $print_python ]] || { printf '%s\n' "$python" && exit 0; }

cache="${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/mmmlc"
mkdir -p "$cache" 2>/dev/null || true
lock="$cache/install-$(cksum <<<"$python" | cut -d' ' -f1).lock"  # one per environment
if command -v flock >/dev/null && { true >>"$lock"; } 2>/dev/null; then
  exec 9>>"$lock"
  flock -n 9 || { echo 'Another install.sh is at work there: waiting for it.' && flock 9 || true; }
fi
if ! has_pip "$python"; then
  [[ -z $active ]] || fail "$python has no pip." \
    "Try: $python -m ensurepip    (conda: conda install pip)"
  make_venv
fi
new_enough "$python" || fail "$venv has Python $(version_of "$python"), not >= 3.10." \
  "Remove it (rm -rf $venv) and run the same command again."
exec "$python" "$root/tools/install/packages.py" "$mode"
