"""The errors a user can cause. The command line prints them as they are and exits with 2."""


class ConvnetError(Exception):
    """Something the user gave is wrong or missing; the message says what, where and what was expected."""
