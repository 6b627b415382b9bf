"""Who is at the keyboard."""

import os
import pwd


def user() -> str:
    """The name of the user whom the operating system knows: LOGNAME and USER are what anybody sets them to."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may run as a number without a name
        return f"uid {os.getuid()}"
