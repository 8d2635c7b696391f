"""The wizard of the first login: an island that is installed on the target and imports nothing else of isobuilder.

Standard library only; Python 3.6 syntax and library, up to 3.13. What is checked where the ISO is built uses the same
rules from here, and never the other way round.
"""
