#!/usr/bin/env bash
# Installs mmmlc and what it runs on. Run it again at any time: what is done is kept.
set -euo pipefail

usage() {
  cat <<'EOF'
usage: bash tools/install.sh [--full] [--active | --venv DIR]

Installs mmmlc (editable) with torch, the OpenMMLab packages and OpenCV, and checks that they work.

  --full         also compile mmcv's ops (about 12 minutes on 2 cores, once: the wheel is kept in
                 ~/.cache/mmmlc/wheels), mmdet and what the tests need
  --active       into the active environment (conda, venv, container) instead of .venv; a torch >= 2.4
                 that is there stays as it is
  --venv DIR     into the virtual environment DIR instead of .venv (or set MMMLC_VENV)
  --print-python print the interpreter that would be used, and stop
  -h, --help     this text

environment: PYTHON, the interpreter to start from (>= 3.10); MAX_JOBS, compilers at a time;
TORCH_CUDA_ARCH_LIST, GPU architectures to compile for; PIP_INDEX_URL and so on, as pip reads them.
EOF
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cache="${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/mmmlc"
mode=light active='' venv="${MMMLC_VENV:-$root/.venv}" print_python=''
python=''
# shellcheck source=tools/install/steps.sh
source "$root/tools/install/steps.sh"
# shellcheck source=tools/install/mmcv_ops.sh
source "$root/tools/install/mmcv_ops.sh"

while (($#)); do
  case $1 in
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

pip() { "$python" -m pip --disable-pip-version-check --no-input "$@"; }
pip_install() { pip install --progress-bar off -c "$scratch/keep.txt" "$@"; }
check() { "$python" "$root/tools/check_install.py" "$@"; }

# ---------------------------------------------------------------- the interpreter

version_of() { "$1" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null; }
new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; }

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

use_active() {
  python=${PYTHON:-$(command -v python || command -v python3 || true)}
  new_enough "${python:-python}" || fail \
    "the active Python (${python:-none}) is $(version_of "${python:-python}" || echo missing), not >= 3.10." \
    'Activate an environment with Python >= 3.10, or leave --active out.'
  [[ -z $print_python ]] || return 0
  "$python" -m pip --version >/dev/null 2>&1 || fail "$python has no pip." \
    "Try: $python -m ensurepip    (conda: conda install pip)"
}

use_venv() {
  python="$venv/bin/python"
  [[ -z $print_python ]] || return 0
  if "$python" -m pip --version >/dev/null 2>&1; then
    new_enough "$python" || fail "$venv has Python $(version_of "$python"), not >= 3.10." \
      "Remove it (rm -rf $venv) and run the same command again."
    return
  fi
  local base_python
  find_python
  if [[ -e $venv ]]; then
    [[ -f $venv/pyvenv.cfg || -z $(find "$venv" -type f -print -quit) ]] ||
      fail "$venv is not a virtual environment, and not empty." 'Name another folder by --venv.'
    say "$venv is incomplete or broken (an interrupted run?): making it again"
  fi
  step "Virtual environment $venv ($base_python, $(version_of "$base_python"))" \
    "$base_python" -m venv --clear "$venv"
}

# ---------------------------------------------------------------- the packages

read_facts() { eval "$(check --facts)" && : "${fact_originals?}"; }

keep_torch() {  # pip must not replace a torch that is there
  read_facts
  : >"$scratch/keep.txt"
  [[ -z $fact_torch ]] || say "torch==$fact_torch" >>"$scratch/keep.txt"
  [[ -z $fact_torchvision ]] || say "torchvision==$fact_torchvision" >>"$scratch/keep.txt"
}

refuse_originals() {
  [[ -z $fact_originals ]] || fail \
    "the original OpenMMLab packages ($fact_originals) are in the way of their maintained forks." \
    'They fail with current torch and setuptools, and share their folders with the forks. Use the' \
    'default .venv, or remove them and what is left of the forks, and run the same command again:' \
    "$python -m pip uninstall -y $fact_originals onedl-mmengine onedl-mmcv onedl-mmpretrain onedl-mmdetection"
}

install_torch() {
  if [[ -z $fact_keep_torch ]]; then
    local free
    free=$(df -Pk "$(dirname "$python")" | awk 'NR == 2 { print int($4 / 1048576) }') || free=99
    ((free >= 12)) || say "Warning: only $free GB free beside $python; torch with CUDA needs about 12."
    [[ -z $fact_torch ]] || say "torch $fact_torch is older than 2.4, and is replaced"
    : >"$scratch/keep.txt"
    step 'torch and torchvision (4.7 GB, some minutes)' pip_install -r "$root/requirements/torch.txt"
  elif [[ -z $fact_torchvision ]] || ! check --only torchvision >/dev/null; then
    sed -i.bak '/^torchvision/d' "$scratch/keep.txt"
    local index=()
    # A torch with a build tag (2.6.0+cu124) has its torchvision only on PyTorch's own index.
    [[ $fact_torch != *+* ]] || index=(--extra-index-url "https://download.pytorch.org/whl/${fact_torch#*+}")
    # shellcheck disable=SC2154  # facts come from check_install.py
    say "torch $fact_torch stays; the torchvision that suits it is $fact_matching_torchvision"
    step "torchvision $fact_matching_torchvision" pip_install --no-deps ${index[@]+"${index[@]}"} \
      numpy pillow "torchvision==$fact_matching_torchvision"
  fi
  keep_torch
}

install_opencv() {
  local again=(pip_install --force-reinstall --no-deps -c "$root/requirements/pins.txt")
  step 'OpenCV' pip_install -r "$root/requirements/opencv.txt"
  check --only OpenCV >/dev/null && return
  step 'OpenCV contrib, again: it must be the last to write' "${again[@]}" opencv-contrib-python
  check --only OpenCV >/dev/null && return
  # A machine without libGL, as servers and containers often are: the same modules without windows.
  step 'OpenCV contrib without windows' "${again[@]}" opencv-contrib-python-headless
}

install_mmmlc() {
  local isolation=(--no-build-isolation)  # works offline
  "$python" -c 'import setuptools, wheel' 2>/dev/null || isolation=()
  step 'mmmlc (editable)' pip_install --no-deps --use-pep517 ${isolation[@]+"${isolation[@]}"} -e "$root"
}

# ---------------------------------------------------------------- the whole

fingerprint() {  # of all that decides what is installed
  (cd "$root" && "$python" - "$fact_torch" requirements/*.txt setup.py tools/install.sh tools/install/*.sh <<'EOF'
import hashlib, sys
digest = hashlib.sha256((sys.version + sys.argv[1]).encode())
for path in sys.argv[2:]:
    digest.update(open(path, 'rb').read())
print(digest.hexdigest()[:16])
EOF
  )
}

points_here() {  # a shared environment may hold the mmmlc of another, perhaps deleted, checkout
  local origin
  origin=$(cd / && env -u PYTHONPATH "$python" -c \
    'import importlib.util as u; s = u.find_spec("mmmlc"); print(s.origin if s else "")' 2>/dev/null) || return 1
  [[ $origin -ef $root/mmmlc/__init__.py ]]
}

up_to_date() {
  [[ -f $stamp ]] || return 1
  local done_for done_mode
  read -r done_for done_mode <"$stamp"
  [[ $done_for == "$(fingerprint)" && ($done_mode == full || $done_mode == "$mode") ]]
}

install_all() {
  local pins="$scratch/pins.txt"
  cp "$root/requirements/pins.txt" "$pins"
  # An mmcv of another version that suits us may have compiled ops: pip would replace it by one without.
  [[ -z $fact_keep_mmcv ]] || sed -i.bak '/^onedl-mmcv==/d' "$pins"
  rm -f "$stamp"
  install_torch
  step 'OpenMMLab packages (mmengine, mmcv without ops, mmpretrain)' \
    pip_install -r "$root/requirements/core.txt" -c "$pins"
  if [[ $mode == full ]]; then
    step 'Build and test tools' pip_install -r "$root/requirements/tests.txt" -c "$pins"
    step 'What mmdet needs' pip_install -r "$root/requirements/detection.txt" -c "$pins"
    step 'mmdet' pip_install --no-deps onedl-mmdetection -c "$pins"
    install_ops
  fi
  install_opencv
  install_mmmlc
}

if [[ -n $active ]]; then use_active_or_venv=use_active; else use_active_or_venv=use_venv; fi
if [[ -n $print_python ]]; then
  $use_active_or_venv
  say "$python"
  exit 0
fi
scratch=$(mktemp -d "${TMPDIR:-/tmp}/mmmlc-scratch.XXXXXX")
log="$scratch/log"
mkdir -p "$cache" 2>/dev/null || true
if command -v flock >/dev/null && { true >>"$cache/install.lock"; } 2>/dev/null; then
  exec 9>>"$cache/install.lock"
  flock -n 9 || { say 'Another install.sh is running: waiting for it.' && flock 9 || true; }
fi
$use_active_or_venv
keep_torch
refuse_originals
prefix=$("$python" -c 'import sys; print(sys.prefix)')
stamp="$prefix/.mmmlc-install"
say "Installing mmmlc ($mode) for $python"
options=()
[[ $mode == light ]] || options=(--full)
if up_to_date; then
  points_here || install_mmmlc
  if check ${options[@]+"${options[@]}"} >"$scratch/check"; then
    cat "$scratch/check"
    say 'Already installed: nothing to do.'
    exit 0
  fi
  say 'Something changed since the last install: repairing.'
fi
install_all
check ${options[@]+"${options[@]}"} || fail 'installed, but the check above failed.' \
  'Follow its advice; in a .venv of this checkout, removing the folder and running again also helps.'
keep_torch
say "$(fingerprint) $mode" >"$stamp" 2>/dev/null || true
say "Ready: $python"
