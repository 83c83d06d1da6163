"""Trainings that are killed at random moments and resumed, for tools/kill_and_resume.py and tests."""
