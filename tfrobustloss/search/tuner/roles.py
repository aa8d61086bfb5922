"""Role of a process in a shared search, from Keras Tuner's environment variables."""

import os

IP, PORT = "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT"
TUNER = "KERASTUNER_TUNER_ID"


def role() -> str | None:
    """Role of this process: None, `"chief"` or `"worker"`.

    Without an address the service is reachable from this machine only. A port without
    an id makes no role: one shell may set it for several commands.

    Raises:
        ValueError: There is an id and no port.
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
