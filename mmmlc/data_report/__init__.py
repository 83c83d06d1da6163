"""Checks of the data of a config: files, labels, leaks; behind ``tools/check_data.py``."""
