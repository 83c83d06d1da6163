"""Whether a vocabulary taken from a file is plausible, or a fault of the file."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from mmengine.dist import is_main_process

from .transforms import warn

# How pandas, databases and spreadsheets write that there is nothing. 'none' may be a class.
_NOTHING = ('nan', 'null', '<na>', 'nat', '#n/a', '#value!', '#ref!', '#name?', 'undefined')
_PERHAPS_NOTHING = ('none', 'n/a', 'na', '-', '--', '.', '?', 'missing', 'true', 'false')
_LIST = re.compile(r"""^\[.*\]$|^[\[({]\s*['"]|^['"][^'"]*['"]\s*[\])}]$""", re.DOTALL)
_MARKS = {
    ',': True,
    ';': True,
    '|': True,
    '\t': True,
    '/': False,
    '+': False,
    '&': False,
    ' ': False,
}
_HALVES = re.compile('[\ud800-\udfff]')
_warned: set[str] = set()


@dataclass(frozen=True)
class Doubt:
    """Something that a vocabulary should not hold.

    Args:
        kind: ``'list'``, ``'index'``, ``'nothing'``, ``'twins'``, ``'characters'``, ``'numbers'``
            or ``'separator'``.
        names: The classes concerned; the first is where to look.
        text: What is wrong.
        certain: False if it may be intended.
        value: The separator that was probably meant.
    """

    kind: str
    names: tuple[str, ...]
    text: str
    certain: bool
    value: str = ''


def warn_once(message: str) -> None:
    """Warn once in this process, and in the first of several processes only."""
    if message not in _warned and is_main_process():
        _warned.add(message)
        warn(message)


def check_vocabulary(
    names: Sequence[str],
    place: Callable[[str], str],
    remedy: Callable[[Doubt], str],
    separator: str | None = None,
    joined: bool = False,
) -> None:
    """Raise what is certainly wrong with the classes of a file, warn of what probably is.

    Args:
        names: C different names.
        place: Where a class is first named: file and line.
        remedy: What to do about a doubt.
        separator: What stands between two labels; None if labels are no texts in a row.
        joined: Whether it occurs, that is, an image has two labels.

    Raises:
        ValueError: names the class, its place and the remedy.
    """
    for doubt in doubts(names, separator, joined):
        message = f'{place(doubt.names[0])}: {doubt.text}. {remedy(doubt)}'
        if doubt.certain:
            raise ValueError(message)
        warn_once(message)


def doubts(
    names: Sequence[str], separator: str | None = None, joined: bool = False
) -> Iterator[Doubt]:
    """What is odd about class names, the certain first; see :func:`check_vocabulary`."""
    found = [
        *_single_names(names),
        *twins(names),
        *(() if separator is None else _separators(names, separator, joined)),
    ]
    yield from sorted(found, key=lambda doubt: not doubt.certain)


def _single_names(names: Sequence[str]) -> Iterator[Doubt]:
    for name in names:
        what = f'the class {name!r}'
        if _LIST.search(name):
            yield Doubt('list', (name,), f'{what} is a printed list, not a label', True)
        elif re.fullmatch(r'Unnamed: \d+(_level_\d+)?', name):
            yield Doubt(
                'index', (name,), f'{what} is what pandas calls a column without name', True
            )
        elif name == 'None' or name.casefold() in _NOTHING:
            yield Doubt('nothing', (name,), f'{what} says that there is no value', True)
        elif name.casefold() in _PERHAPS_NOTHING:
            yield Doubt('nothing', (name,), f'{what} may say that there is no label', False)
        elif not name.strip():
            yield Doubt('nothing', (name,), f'{what} is empty', True)
        elif _HALVES.search(name):
            yield Doubt('characters', (name,), f'{what} holds half of a UTF-16 pair', True)
        elif name != name.strip() or name != _visible(name):
            text = f'{what}, {ascii(name)}, holds characters that are not seen'
            yield Doubt('characters', (name,), text, False)
    if len(names) > 1 and all(re.fullmatch(r'\d+\.0', name) for name in names):
        text = f'the classes are numbers with a fraction: {list(names[:5])}'
        yield Doubt('numbers', (names[0],), text, False)


def _visible(name: str) -> str:
    """Without control characters, and those of no width at the ends, where they join nothing."""
    kept = ''.join(c for c in name if unicodedata.category(c) not in ('Cc', 'Zl', 'Zp', 'Cn'))
    kept = (
        kept.replace('\u200b', '').replace('\ufeff', '').replace('\u2060', '').replace('\xad', '')
    )
    return kept.strip('\u200c\u200d\u200e\u200f')


def _same(name: str) -> str:
    """Equal for names that differ in case, composed accents, blanks, or what is not seen."""
    if name.isascii() and name.isalnum():
        return name.lower()
    seen = ''.join(c for c in name if unicodedata.category(c) not in ('Cf', 'Cc') or c.isspace())
    return unicodedata.normalize('NFC', ' '.join(seen.split()).lower())


def twins(names: Sequence[str], what: str = 'classes') -> Iterator[Doubt]:
    """Names that are one but for their spelling.

    Args:
        names: Different names.
        what: How to call them.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        groups[_same(name)].append(name)
    for group in groups.values():
        if len(group) > 1:
            shown = ' and '.join(map(ascii, group[:4]))
            yield Doubt('twins', tuple(group[::-1]), f'the {what} {shown} are one name', True)
    loose: dict[str, list[str]] = defaultdict(list)
    for key, group in groups.items():
        loose[re.sub(r'[\s_-]+', '', unicodedata.normalize('NFKC', key).casefold())].append(
            group[0]
        )
    for group in loose.values():
        if len(group) > 1:
            text = f'the {what} {group[0]!r} and {group[1]!r} look like one name'
            yield Doubt('twins', tuple(group[::-1]), text, False)


def _separators(names: Sequence[str], separator: str, joined: bool) -> Iterator[Doubt]:
    for mark, punctuation in _MARKS.items():
        if mark in separator or separator in mark:
            continue
        lists = {name: _parts(name, mark) for name in names if mark in name}
        lists = {name: parts for name, parts in lists.items() if len(parts) > 1}
        if not lists:
            continue
        plain = set(names) - lists.keys()
        certain = _are_lists(lists, plain, joined, punctuation)
        if certain is None and not punctuation:
            continue
        first = next(iter(lists))
        text = f'the class {first!r} looks like a list of labels; separator is {separator!r}'
        if not joined:
            total = len(plain | {part for parts in lists.values() for part in parts})
            text += f', which no row has. With {mark!r} the {len(names)} classes would be {total}'
        yield Doubt('separator', (first,), text, bool(certain), mark)


def _parts(name: str, mark: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in name.split(mark) if part.strip())


def _are_lists(
    lists: dict[str, tuple[str, ...]], plain: set[str], joined: bool, punctuation: bool
) -> bool | None:
    """True if names are certainly lists of labels, False if perhaps, None if they need not be.

    Two words for one class ('fire truck') give more words than classes, lists fewer: a label comes
    in many lists, alone, in several places and orders.
    """
    known = [name for name, parts in lists.items() if plain.issuperset(parts)]
    if joined:
        if punctuation and known:
            return True
        return False if len(known) > max(2, len(lists) // 2) else None
    words = {part for parts in lists.values() for part in parts}
    count, total = len(lists) + len(plain), len(plain | words)
    if total >= count:
        return True if punctuation and known else None
    alone = words & plain
    if len(alone) * 2 > len(words):
        return True
    return total * 2 <= count and (bool(alone) or _mixed(list(lists.values())))


def _mixed(lists: list[tuple[str, ...]]) -> bool:
    """Whether words come in several orders or places, or lists are parts of other lists."""
    sets = Counter(frozenset(parts) for parts in lists)
    firsts, lasts = {parts[0] for parts in lists}, {parts[-1] for parts in lists}
    nested = (
        frozenset(part) in sets
        for parts in lists
        if 2 < len(parts) < 20
        for part in combinations(parts, len(parts) - 1)
    )
    return max(sets.values()) > 1 or bool(firsts & lasts) or any(nested)


def hint_of_separator(name: str, classes: Sequence[str], separator: str) -> str:
    """``"separator=' ' gives 'cat' and 'dog'"`` if a name is a list of classes; otherwise ''."""
    known = set(classes)
    for mark in _MARKS:
        parts = _parts(name, mark)
        if mark != separator and len(parts) > 1 and known.issuperset(parts):
            return f'separator={mark!r} gives {" and ".join(map(repr, parts[:5]))}'
    return ''


def checked_classes(classes: Sequence[str], what: str = 'classes') -> list[str]:
    """Classes that a config gives: texts, none empty, none twice. Nothing else is questioned.

    Raises:
        TypeError: something else than texts.
        ValueError: an empty name, or one twice.
    """
    for name in classes:
        if not isinstance(name, str):
            raise TypeError(f'{what} hold {name!r}, expected names')
        if not name.strip():
            raise ValueError(f'{what} hold the empty name {name!r}')
        if _HALVES.search(name):
            raise ValueError(f'{what} hold {name!r}, with half of a UTF-16 pair')
    if twice := [name for name, n in Counter(classes).items() if n > 1]:
        raise ValueError(f'{what} hold {twice} more than once')
    return list(classes)
