"""Words of messages."""

from __future__ import annotations

from collections.abc import Sequence


def listed(names: Sequence[object], most: int = 20, quoted: bool = False) -> str:
    """Names for a message, the first of them if there are many: a vocabulary may have thousands.

    Args:
        names: Of what is named.
        most: How many are shown.
        quoted: Show them as Python does: ``['cat', 'dog']``.

    Examples:
        >>> listed(['cat', 'dog'])
        'cat, dog'
        >>> listed(range(1000), most=3)
        '0, 1, 2 and 997 more'
    """
    shown = repr(list(names[:most])) if quoted else ', '.join(map(str, names[:most]))
    return shown if len(names) <= most else f'{shown} and {len(names) - most:,} more'
