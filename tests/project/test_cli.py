"""The command ``mmmlc``."""

from __future__ import annotations

import subprocess
import sys

import pytest
from helpers.places import ROOT, TOOLS

from mmmlc import __version__, cli


def run(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, '-m', 'mmmlc.cli', *words], cwd=ROOT, capture_output=True, text=True
    )


def test_help_lists_every_command_with_an_example():
    said = run('--help').stdout
    for name, (file, text, words) in cli.COMMANDS.items():
        assert (TOOLS / file).is_file()
        assert f'{name} ' in said and text in said and f'mmmlc {name} {words}' in said


def test_help_imports_no_torch():
    code = 'import sys; from mmmlc.cli import main; main(["--help"]); print("torch" in sys.modules)'
    result = subprocess.run(
        [sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.endswith('False\n')


def test_a_command_is_its_tool():
    found = run('predict', '--help')
    assert found.returncode == 0 and 'usage: predict.py' in found.stdout
    wrong = run('compare')
    assert wrong.returncode == 2 and 'arguments are required: --a, --b' in wrong.stderr


def test_examples_parse():
    """Options that the examples name are options of the tools."""
    for name, (_, _, words) in cli.COMMANDS.items():
        options = [word for word in words.split() if word.startswith('--')]
        if options:
            said = run(name, '--help').stdout
            assert all(option in said for option in options), name


def test_unknown_commands_get_the_nearest(capsys):
    with pytest.raises(SystemExit, match="no command 'trian', did you mean 'train'"):
        cli.main(['trian'])
    cli.main(['--version'])
    assert capsys.readouterr().out == f'{__version__}\n'
