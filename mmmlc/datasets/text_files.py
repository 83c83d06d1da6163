"""Text, JSON and XML of annotation files: read right, or an error that names file and place."""

from __future__ import annotations

import codecs
import json
import re
import xml.etree.ElementTree as ET
from typing import Any, NoReturn

from mmengine import fileio

# UTF-32 first: its little-endian mark starts with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, 'utf-32'),
    (codecs.BOM_UTF32_BE, 'utf-32'),
    (codecs.BOM_UTF16_LE, 'utf-16'),
    (codecs.BOM_UTF16_BE, 'utf-16'),
)
# What is meant by these names in practice, as in the WHATWG's list of encodings.
_WIDER = {
    **dict.fromkeys(('gb2312', 'gbk', 'gb-2312-80'), 'gb18030'),
    **dict.fromkeys(('shift-jis', 'sjis', 'x-sjis', 'windows-31j'), 'cp932'),
    **dict.fromkeys(('euc-kr', 'ks-c-5601-1987'), 'cp949'),
}
_DECLARED = re.compile(r"""\s*<\?xml\s[^>]*?\bencoding\s*=\s*["']([A-Za-z][\w.-]*)["'][^>]*\?>""")


def encoding_of(data: bytes) -> str:
    """``'utf-8-sig'``, or what the byte order mark says: ``'utf-16'`` or ``'utf-32'``."""
    return next((name for mark, name in _MARKS if data.startswith(mark)), 'utf-8-sig')


def decode(path: str, data: bytes) -> str:
    """Text of a file's bytes, without a byte order mark: UTF-8, or as the mark says.

    Raises:
        ValueError: other bytes; names file, line and byte.
    """
    encoding = encoding_of(data)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        name = 'UTF-8' if encoding == 'utf-8-sig' else encoding.upper()
        line = data.count(b'\n', 0, error.start) + 1
        value = data[error.start : error.start + 1]
        raise ValueError(
            f'{path}: line {line} holds the byte {value!r}, expected text in {name}: save the '
            'file with this encoding'
        ) from error


def read_text(path: str) -> str:
    """:func:`decode` of a file."""
    return decode(path, fileio.get(path))


def read_json(path: str) -> Any:
    """Content of a JSON file.

    Raises:
        ValueError: as :func:`parse_json`.
    """
    return parse_json(read_text(path), path)


def parse_json(text: str, where: str, what: str = 'is not JSON, or cut short') -> Any:
    """Content of a JSON text.

    Args:
        text: The text.
        where: What to call it in errors.
        what: How to say that it is none.

    Raises:
        ValueError: no JSON; a key twice in an object (Python keeps the last); NaN or infinity,
            which JSON has not; integers of thousands of digits; nested too deeply.
    """
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise ValueError(f'{where} {what}: {error}') from error
    except RecursionError as error:
        raise ValueError(f'{where} is nested too deeply{_deepest(text)}') from error
    except _RepeatedKeyError as error:
        raise ValueError(f'{where} has {error}{_place_of_repeat(text, error.key)}') from error
    except _ConstantError as error:
        pattern = re.compile(rf'(?<![\w"]){re.escape(error.name)}(?![\w"])')
        place = _place(text, pattern.search(text))
        raise ValueError(f'{where} holds {error.name}{place}, expected numbers') from error
    except ValueError as error:
        # Python refuses to convert integers of more than 4,300 digits.
        place = _place(text, re.search(r'\d{4301,}', text))
        raise ValueError(f'{where} holds an integer of too many digits{place}') from error


class _RepeatedKeyError(Exception):
    def __init__(self, key: str, keys: list[str]) -> None:
        super().__init__(f'the key {key!r} twice in one object, of the keys {keys[:10]}')
        self.key = key


class _ConstantError(Exception):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _RepeatedKeyError(next(key for key in keys if keys.count(key) > 1), keys)
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise _ConstantError(name)


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)


def _place(text: str, match: re.Match | None) -> str:
    if match is None:
        return ''
    line = text.count('\n', 0, match.start()) + 1
    return f' at line {line} column {match.start() - text.rfind(chr(10), 0, match.start())}'


def _place_of_repeat(text: str, key: str) -> str:
    """Where the first object with this key twice has it again; '' if written with escapes."""
    written = re.escape(json.dumps(key, ensure_ascii=False))
    seen: list[set[bool]] = []
    for match in re.finditer(rf'{written}\s*:|"(?:[^"\\]|\\.)*"|[{{}}]', text):
        token = match.group()
        if token == '{':
            seen.append(set())
        elif token == '}':
            seen.pop() if seen else None
        elif token.endswith(':') and seen:
            if seen[-1]:
                return _place(text, match)
            seen[-1].add(True)
    return ''


def _deepest(text: str) -> str:
    depth = 0
    for match in re.finditer(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', text):
        depth += {'[': 1, '{': 1, ']': -1, '}': -1}.get(match.group(), 0)
        if depth > 500:
            return f': more than 500 levels{_place(text, match)}'
    return ''


def read_xml(path: str, data: bytes) -> ET.Element:
    """Root of an XML file, in any encoding that Python knows, where it is declared.

    Args:
        path: What to call it in errors.
        data: Its bytes.

    Raises:
        ValueError: no XML; bytes of another encoding than is declared (UTF-8 if none is); entities
            of its own, which can grow to any size or name other files.
    """
    text = _xml_text(path, data)
    if '<!ENTITY' in text:
        raise ValueError(f'{path} declares entities (<!ENTITY ...>), which are not read')
    try:
        return ET.fromstring(text)
    except (ET.ParseError, ValueError) as error:
        raise ValueError(f'{path} is not XML, or cut short: {error}') from error


def _xml_text(path: str, data: bytes) -> str:
    declared = _DECLARED.match(data[:300].decode('latin-1'))
    if declared is None or encoding_of(data) != 'utf-8-sig' or data.startswith(codecs.BOM_UTF8):
        return decode(path, data)
    name = declared.group(1)
    if re.match(r'(?i)(utf|ucs|iso-10646-ucs)-?(16|32|2|4)', name):
        return decode(path, data)  # the declaration itself is in single bytes: it is wrong
    try:
        return data.decode(_WIDER.get(name.lower().replace('_', '-'), name))
    except LookupError as error:
        raise ValueError(f'{path} declares the encoding {name!r}, which is not known') from error
    except UnicodeError as error:
        line = data.count(b'\n', 0, getattr(error, 'start', 0)) + 1
        raise ValueError(f'{path}: line {line} is not in {name!r}, as declared: {error}') from error
