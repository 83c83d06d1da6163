# Sourced by tools/install.sh: compiles mmcv with ops once per torch, Python and CUDA, and keeps the wheel.
# shellcheck shell=bash
# shellcheck disable=SC2154  # python, cache, root and the build_* variables are set elsewhere

read_build() {  # sets build_key, build_cuda, build_jobs, and CUDA_HOME where CUDA is used
  eval "$("$python" - "$1" <<'EOF'
import os, platform, re, shlex, subprocess, sys
import torch

def nvcc_version():
    from torch.utils.cpp_extension import CUDA_HOME
    try:
        text = subprocess.run([f'{CUDA_HOME}/bin/nvcc', '--version'], capture_output=True, text=True).stdout
    except OSError:
        return None
    found = re.search(r'release (\d+\.\d+)', text)
    return found and found[1]

target, note = 'cpu', ''
if torch.version.cuda and torch.cuda.is_available():
    nvcc = nvcc_version()
    if nvcc and nvcc.split('.')[0] == torch.version.cuda.split('.')[0]:
        gpus = {'%d%d' % torch.cuda.get_device_capability(i) for i in range(torch.cuda.device_count())}
        arch = os.environ.get('TORCH_CUDA_ARCH_LIST') or '_'.join(sorted(gpus))
        target = 'cu%s-sm%s' % (torch.version.cuda.replace('.', ''), re.sub(r'[^\w.+]+', '_', arch))
    else:
        note = f'mmcv for the CPU only: torch is built with CUDA {torch.version.cuda}, nvcc is {nvcc or "missing"}'
memory = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30
jobs = os.environ.get('MAX_JOBS') or max(1, min(os.cpu_count() or 1, int(memory / 2)))
python = 'cp%d%d' % sys.version_info[:2]
key = f'mmcv-{sys.argv[1]}_torch-{torch.__version__}_{python}_{target}_{platform.machine()}'
cuda = int(target != 'cpu')
for name, value in dict(build_key=key, build_cuda=cuda, build_jobs=jobs, build_note=note).items():
    print(f'{name}={shlex.quote(str(value))}')
EOF
  )"
  : "${build_key:?torch does not import: see above}"
}

ops_work() {
  local text
  text=$(check --only 'mmcv ops' 2>/dev/null) && { ((!build_cuda)) || [[ $text == *CUDA* ]]; }
}

has_ops() {  # has_ops WHEEL: whether it is a whole wheel with the compiled extension
  "$python" - "$1" <<'EOF'
import sys, zipfile
path = sys.argv[1]
names = zipfile.ZipFile(path).namelist() if zipfile.is_zipfile(path) else []
sys.exit(not any(name.startswith('mmcv/_ext') and name.endswith('.so') for name in names))
EOF
}

compile_mmcv() {  # compile_mmcv VERSION FOLDER
  local cxx=${CXX:-g++} visible=() wheel
  command -v "$cxx" >/dev/null || fail "no C++ compiler ($cxx) to compile mmcv's ops." \
    'Debian, Ubuntu: apt-get install g++    Fedora: dnf install gcc-c++    conda: conda install gxx'
  "$python" -c 'import os, sysconfig as s; open(os.path.join(s.get_path("include"), "Python.h")).close()' \
    2>/dev/null || fail "the headers of $(version_of "$python") (Python.h) are missing." \
    "Debian, Ubuntu: apt-get install python$(version_of "$python" | cut -d. -f1,2)-dev"
  mkdir -p "$cache/wheels"
  find "$cache/wheels" -maxdepth 1 -name '.build-*' -mmin +1440 -exec rm -rf {} +
  build=$(mktemp -d "$cache/wheels/.build-XXXXXX")
  # mmcv's setup.py compiles for any GPU it sees, FORCE_CUDA=0 or not.
  ((build_cuda)) || visible=(CUDA_VISIBLE_DEVICES=)
  # --no-cache-dir: pip would offer the wheel without ops that it kept from the light install.
  step "mmcv's ops: compiling with $build_jobs jobs, about 12 minutes on 2 cores" \
    env FORCE_CUDA="$build_cuda" MMCV_WITH_OPS=1 MAX_JOBS="$build_jobs" ${visible[@]+"${visible[@]}"} \
    "$python" -m pip --disable-pip-version-check --no-input wheel -v --no-cache-dir \
    --no-build-isolation --no-deps --no-binary onedl-mmcv -w "$build" "onedl-mmcv==$1"
  wheel=$(find "$build" -name 'onedl_mmcv-*.whl')
  has_ops "$wheel" || fail 'mmcv was built without ops, which must not happen.' \
    "Is torch visible to $python? Run: $python -c 'import torch'"
  mkdir -p "$2"
  mv "$wheel" "$2/"  # within one file system: a wheel under its name is a finished one
  rm -rf "$build"
}

install_ops() {
  local version wheel
  version=$(sed -n 's/^onedl-mmcv==//p' "$root/requirements/pins.txt")
  read_build "$version"
  [[ -z $build_note ]] || say "$build_note"
  ops_work && return
  wheel=$(find "$cache/wheels/$build_key" -name 'onedl_mmcv-*.whl' 2>/dev/null | head -n 1) || true
  if [[ -n $wheel ]] && ! has_ops "$wheel"; then
    say "the kept wheel is damaged, and is built again: $wheel"
    rm -f "$wheel"
    wheel=''
  fi
  if [[ -z $wheel ]]; then
    compile_mmcv "$version" "$cache/wheels/$build_key"
    wheel=$(find "$cache/wheels/$build_key" -name 'onedl_mmcv-*.whl' | head -n 1)
  fi
  step "mmcv with ops, from $wheel" pip_install --force-reinstall --no-deps "$wheel"
}
