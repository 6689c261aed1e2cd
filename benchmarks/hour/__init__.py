"""What the first hour with a card measures, part by part; `first_hour.py` is the command."""
