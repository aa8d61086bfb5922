"""What a process of a shared search is: Keras Tuner's environment variables."""

import os

IP, PORT = "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT"
TUNER = "KERASTUNER_TUNER_ID"


def role():
    """What this process is: None, `"chief"` or `"worker"`.

    Without an address the service stays on this machine. A port alone, which one
    shell may have for several commands, makes no role.

    Raises:
        ValueError: There is a role and no port.
    """
    if not os.environ.get(TUNER):
        return None
    if not os.environ.get(PORT):
        raise ValueError(
            f"search: the environment variable {PORT} must be set too. Received: "
            f"{TUNER}={os.environ[TUNER]!r}. Without the port of the chief this "
            "process would search alone."
        )
    os.environ.setdefault(IP, "127.0.0.1")
    return "chief" if "chief" in os.environ[TUNER] else "worker"
