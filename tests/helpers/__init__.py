"""Small data, references and fixtures that tests of several folders use."""
