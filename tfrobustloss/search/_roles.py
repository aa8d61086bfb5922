"""What a process of a shared search is: Keras Tuner's environment variables."""

import os

IP, PORT = "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT"
TUNER = "KERASTUNER_TUNER_ID"


def role():
    """What this process is: None, `"chief"` or `"worker"`.

    Without an address the service stays on this machine.
    """
    if PORT not in os.environ or TUNER not in os.environ:
        return None
    os.environ.setdefault(IP, "127.0.0.1")
    return "chief" if "chief" in os.environ[TUNER] else "worker"
