"""Runs pip for tools/install, shows its output, and says what to do when it fails."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

# What pip's output holds, and what to do then.
HINTS = {
    'no space left|disk quota': (
        'The disk is full: torch needs 10 GB, and pip keeps temporary files in TMPDIR.'
    ),
    'externally-managed-environment': (
        'This Python belongs to the system: leave --active out, or activate a venv or conda first.'
    ),
    'name resolution|connection|proxyerror|sslerror|timed out|max retries': (
        'The package index cannot be reached: check the network (HTTPS_PROXY, PIP_INDEX_URL).'
    ),
    'no matching distribution': (
        'The package index cannot be reached, or has no build for this Python and system: check '
        'the network (HTTPS_PROXY, PIP_INDEX_URL), or choose another Python (PYTHON=python3.11).'
    ),
    r'no such file or directory: .*(g|c)\+\+|(g|c)\+\+.*(not found|no such file)': (
        'A C++ compiler is missing: apt-get install g++ (Fedora: dnf install gcc-c++; conda: gxx).'
    ),
    'CUDA_HOME environment variable is not set|detected CUDA version': (
        'The CUDA toolkit does not suit torch: install the one of its version (CUDA_HOME names its '
        "folder), or leave --full out: torchvision's operators work on the GPU, too."
    ),
    r'Python\.h: no such file': (
        "Python's headers are missing: apt-get install python3-dev, of this Python's version."
    ),
    'permission denied': (
        'No permission to write there: leave --active out, or activate an environment of your own.'
    ),
}


def fail(*lines: str) -> None:
    """Stop with a message: the reason, then the way out."""
    sys.exit('\ninstall.sh: ' + '\n  '.join(lines))


def hint(output: str) -> str:
    """What the output of a failed step suggests; an empty text if nothing."""
    texts = (text for pattern, text in HINTS.items() if re.search(pattern, output, re.IGNORECASE))
    return next(texts, '')


def run(command: list[str], env: dict[str, str] | None = None) -> tuple[int, str]:
    """Run a command and show its output; its exit status and output."""
    output = []
    with subprocess.Popen(
        command,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors='replace',
        start_new_session=True,
    ) as child:
        try:
            for line in child.stdout:
                output.append(line)
                if not line.startswith('Requirement already satisfied'):
                    print(f'  {line}', end='', flush=True)
        except BaseException:  # compilers that pip started must not outlive an interrupted install
            os.killpg(child.pid, signal.SIGTERM)
            raise
    return child.returncode, ''.join(output)


def pip(label: str, *arguments: str | Path, env: dict[str, str] | None = None) -> None:
    """Run pip; stop with advice if it fails."""
    print(f'\n{label}', flush=True)
    command = [sys.executable, '-m', 'pip', '--disable-pip-version-check', '--no-input']
    status, output = run([*command, *map(str, arguments)], env)
    if status:
        again = 'Then run the same command again: finished steps are kept.'
        fail(f'failed: {label}', *filter(None, [hint(output), again]))
