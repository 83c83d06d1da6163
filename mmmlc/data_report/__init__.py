"""Checks of the data of a config: files, labels, leaks; behind ``tools/check_data.py``."""

import mmmlc.registry  # noqa: F401 - says what is missing before the rest fails
