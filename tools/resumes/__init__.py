"""Trainings that are killed and resumed, for tools/kill_and_resume.py and tests."""
