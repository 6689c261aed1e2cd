"""What coding agents read of the library: `AGENTS.md`, `SKILL.md` and `llms.txt` beside this file.

`python -m pixelwise.agents` prints the first, with the name of another that one.
"""
