# Sourced by tools/install.sh: runs a step, shows that it lives, says what to do when it fails.
# shellcheck shell=bash

child='' log='' scratch='' build=''

say() { printf '%s\n' "$*"; }

fail() {  # fail MESSAGE...: one line per argument, then the way out
  printf '\ninstall.sh: %s\n' "$1" >&2
  shift
  (($# == 0)) || printf '  %s\n' "$@" >&2
  exit 1
}

clean_up() {
  # The step runs in its own process group: compilers must not outlive an interrupted install.
  [[ -z $child ]] || { kill -TERM -- "-$child" && wait "$child"; } 2>/dev/null || true
  [[ -z $build ]] || rm -rf "$build"
  [[ -z $scratch ]] || rm -rf "$scratch"
}
interrupted() {
  printf '\ninstall.sh: interrupted. Run the same command again: finished steps are kept.\n' >&2
  exit 130
}
trap clean_up EXIT
trap interrupted INT TERM HUP

progress() {  # progress SECONDS: elapsed time and where the step is
  local now
  now=$(tail -c 20000 "$log" | grep -oE '^ *(Collecting|Downloading|Installing|Building) .*|^ *\[[0-9]+/[0-9]+\]' |
    tail -n 1 | tr -d '\r' | sed 's/^ *//' | cut -c1-60) || true
  printf '  %dm%02ds  %s' $(($1 / 60)) $(($1 % 60)) "$now"
}

hint() {  # what the log of a failed step suggests
  if grep -qiE 'no space left|disk quota' "$log"; then
    say 'The disk is full: free some space (torch needs 10 GB; pip keeps temporary files in TMPDIR).'
  elif grep -qi 'externally-managed-environment' "$log"; then
    say 'This Python belongs to the system: leave --active out, or activate a venv or conda first.'
  elif grep -qiE 'name resolution|connection|proxyerror|sslerror|timed out|max retries' "$log"; then
    say 'The package index cannot be reached: check the network (HTTPS_PROXY, PIP_INDEX_URL).'
  elif grep -qi 'no matching distribution' "$log"; then
    say 'The package index cannot be reached, or has no build for this Python and system: check the' \
      'network (HTTPS_PROXY, PIP_INDEX_URL), or choose another Python (PYTHON=python3.11).'
  elif grep -qiE 'permission denied' "$log"; then
    say 'No permission to write there: leave --active out, or activate an environment of your own.'
  fi
  say 'Then run the same command again: finished steps are kept.'
}

step() {  # step LABEL COMMAND...: the command's output goes to the log, its progress is shown
  local label=$1 start=$SECONDS next=30 status=0
  shift
  say "$label"
  printf '$ %s\n' "$*" >"$log"
  set -m
  # An interrupted pip leaves gigabytes behind: its temporary files go where clean_up finds them.
  TMPDIR="$scratch" "$@" >>"$log" 2>&1 </dev/null 9>&- &
  child=$!
  set +m
  while kill -0 "$child" 2>/dev/null; do
    sleep 0.2
    if [[ -t 1 ]]; then
      printf '\r\033[K%s' "$(progress $((SECONDS - start)))"
    elif ((SECONDS - start >= next)); then
      say "$(progress $((SECONDS - start)))"
      next=$((next + 30))
    fi
  done
  wait "$child" || status=$?
  child=''
  [[ ! -t 1 ]] || printf '\r\033[K'
  ((status)) || return 0
  local kept
  kept=$(mktemp "${TMPDIR:-/tmp}/mmmlc-install.XXXXXX")
  cp "$log" "$kept"
  tail -n 25 "$log" >&2
  fail "failed: $label" "$(hint)" "The whole output: $kept"
}
