"""The one exception that means "the person at the keyboard can mend this"."""


class InputError(Exception):
    """Bad input: a file, an option, a sentence or a checkpoint that cannot be used as given.

    The message names the value, the rule it breaks and the way out, in one line where possible. The command
    line prints it without a traceback and exits with code 2; library callers may catch it.
    """
