"""What ``tools/ledger.py`` is made of; for developers, not part of the installed package."""
