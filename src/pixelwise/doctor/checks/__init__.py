"""Checks, a family in each file: functions from facts to findings, which read no file."""
