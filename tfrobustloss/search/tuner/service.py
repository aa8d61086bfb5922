"""Keras Tuner's chief and worker service, robust to restarts and lost workers.

The messages are Keras Tuner's own. In addition, a worker outlives a restart of the
chief, a result travels in one message with the worker's name, workers send signs of
life, and the chief ends when the search does, even if workers are lost.
"""

import concurrent.futures
import ipaddress
import json
import os
import time
import warnings
from collections.abc import Callable
from typing import Any

import grpc

from tfrobustloss.search.tuner import keras_tuner_private, roles, trial_results
from tfrobustloss.search.tuner.keras_tuner_private import (
    OracleClient,
    OracleServicer,
    Trial,
    TrialStatus,
    messages,
)

_NOTE = "tfrobustloss-bin"  # metadata of a message: its worker, and metrics
_SHARED = [("grpc.max_metadata_size", 1 << 20)]
_SERVER = [*_SHARED, ("grpc.so_reuseport", 0)]  # or a second chief would share the port
_CLIENT = [
    *_SHARED,
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
]
_AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
PATIENCE_SECONDS = 600.0  # how long a worker waits for a chief that does not answer
LINGER_SECONDS = 3.0  # without a call, after the end; workers that wait call oftener
_POLL_SECONDS = 0.2
_LONGEST_IDLE_SECONDS = 1.0
_MOST_CHARACTERS = 8000  # of a message
_BEST_TRIALS = 100  # that a worker keeps when the search has ended


def _address() -> str:
    return f"{os.environ[roles.IP]}:{os.environ[roles.PORT]}"


def _warn_if_open(host: str) -> None:
    """Warns if others than this machine's users can reach the port."""
    try:
        private = ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        private = host == "localhost"
    if not private:
        port = os.environ[roles.PORT]
        warnings.warn(
            f"CMAES: the chief listens on {_address()}. Keras Tuner's service has no "
            "password and no encryption: anyone who reaches the port can read the "
            "search, take its trials and send false results. Restrict the port to your "
            f"workers by a firewall, or keep {roles.IP}=127.0.0.1 and connect workers "
            f"through SSH tunnels (ssh -L {port}:127.0.0.1:{port} ...).",
            stacklevel=4,
        )


# --- the chief


class _Servicer(OracleServicer):
    """Keras Tuner's servicer, which ends the search at an error of the oracle."""

    def __init__(self, oracle: Any) -> None:
        super().__init__(oracle)
        self.error: Exception | None = None
        self.last_call = time.monotonic()

    def _answer(
        self, method: Callable[[Any, Any], Any], request: Any, context: Any
    ) -> Any:
        """Runs a method of the base; the worker receives its error with its text."""
        self.last_call = time.monotonic()
        tuner_id = _note(context).get("tuner_id")
        if tuner_id is not None:
            self.oracle.touch(tuner_id)
        try:
            return method(request, context)
        except KeyError as error:
            context.abort(grpc.StatusCode.NOT_FOUND, f"no trial {error}")
        except Exception as error:
            self.error = self.error or error
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))

    def CreateTrial(self, request: Any, context: Any) -> Any:
        if self.error is not None:
            trial = Trial(self.oracle.get_space(), "", TrialStatus.STOPPED)
            return messages.CreateTrialResponse(trial=trial.to_proto())
        return self._answer(super().CreateTrial, request, context)

    def UpdateTrial(self, request: Any, context: Any) -> Any:
        return self._answer(super().UpdateTrial, request, context)

    def GetTrial(self, request: Any, context: Any) -> Any:
        return self._answer(super().GetTrial, request, context)

    def EndTrial(self, request: Any, context: Any) -> Any:
        return self._answer(self._end_trial, request, context)

    def _end_trial(self, request: Any, context: Any) -> Any:
        note = _note(context)
        if "ends_search" in note:
            worker, reason = note["tuner_id"], note["ends_search"]
            error = RuntimeError(f"CMAES: {worker} has ended the search. {reason}")
            self.error = self.error or error
            return messages.EndTrialResponse()
        if "reports" not in note:  # a worker with Keras Tuner's own client
            return super().EndTrial(request, context)
        trial = Trial.from_proto(request.trial)
        trial.message = note["message"]
        self.oracle.report(trial, note["tuner_id"], note["reports"])
        return messages.EndTrialResponse()

    def is_done(self) -> bool:
        """Whether the chief may leave: the search is over, and no worker asks."""
        quiet = time.monotonic() - self.last_call > LINGER_SECONDS
        return quiet and (self.error is not None or self.oracle.is_over())


def serve(oracle: Any) -> None:
    """Serves an oracle to workers until the search is over.

    Args:
        oracle: `CMAESOracle`.

    Raises:
        OSError: The port is taken.
        Exception: An error that ended the search early.
    """
    _warn_if_open(os.environ[roles.IP])
    oracle.idle_seconds = 0  # the workers wait; the service must not
    servicer = _Servicer(oracle)
    pool = concurrent.futures.ThreadPoolExecutor(max_workers=1)
    server = grpc.server(pool, options=_SERVER)
    keras_tuner_private.service.add_OracleServicer_to_server(servicer, server)
    try:
        server.add_insecure_port(_address())
    except RuntimeError:
        raise OSError(
            f"CMAES: the chief cannot listen on {_address()}. If another chief "
            f"listens there, choose a different {roles.PORT}."
        ) from None
    server.start()
    try:
        while not servicer.is_done():
            time.sleep(_POLL_SECONDS)
    finally:
        server.stop(grace=1).wait()
        pool.shutdown()
    if servicer.error is not None:
        raise servicer.error


# --- a worker


class SearchClient(OracleClient):
    """Keras Tuner's client, which outlives a restart of the chief.

    Args:
        oracle: The worker's own oracle, for its objective.
    """

    def __init__(self, oracle: Any) -> None:
        super().__init__(oracle)
        channel = grpc.insecure_channel(_address(), options=_CLIENT)
        stub = keras_tuner_private.service.OracleStub(channel)
        self.stub = _PatientStub(stub, self._write_note)
        # trial id -> pairs of a step and metrics
        self._reports: dict[str, list[tuple[int, dict[str, float]]]] = {}
        self._ending: Trial | None = None  # the trial whose end is being sent
        self._reason: str | None = None  # why the search must end
        self._idle_seconds = _POLL_SECONDS
        self._best: list[Trial] | None = None  # once the search is over

    def _write_note(self) -> bytes:
        note: dict[str, Any] = {"tuner_id": self.tuner_id}
        if self._ending is not None:
            note["reports"] = self._reports.get(self._ending.trial_id, [])
            note["message"] = (self._ending.message or "")[-_MOST_CHARACTERS:]
        if self._reason is not None:
            note["ends_search"] = self._reason
        return json.dumps(note).encode()

    def create_trial(self, tuner_id: str) -> Trial:
        """A trial to run; waits a moment if there is none."""
        self.tuner_id = tuner_id
        trial = super().create_trial(tuner_id)
        self._reports.clear()
        if trial.status == TrialStatus.IDLE:
            time.sleep(self._idle_seconds)
            self._idle_seconds = min(2 * self._idle_seconds, _LONGEST_IDLE_SECONDS)
        else:
            self._idle_seconds = _POLL_SECONDS
        if trial.status == TrialStatus.STOPPED:
            # while the chief is still up
            self._best = super().get_best_trials(_BEST_TRIALS)
        return trial

    def update_trial(
        self, trial_id: str, metrics: dict[str, Any], step: int = 0
    ) -> Trial:
        """Keeps metrics of a trial, to be sent with its end."""
        trial_results.check_reported(metrics, self.objective)
        plain = {name: float(value) for name, value in metrics.items()}
        self._reports.setdefault(trial_id, []).append((step, plain))
        return self.get_trial(trial_id)

    def get_trial(self, trial_id: str) -> Trial:
        """The chief's copy of the trial, with the metrics of this worker only."""
        trial = super().get_trial(trial_id)
        trial.metrics = type(trial.metrics)()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # the best of only NaN
            for step, metrics in self._reports.get(trial_id, []):
                for name, value in metrics.items():
                    trial.metrics.update(name, value, step=step)
        return trial

    def end_trial(self, trial: Trial) -> None:
        """Sends the end of a trial and its metrics in one message."""
        self._ending = trial
        try:
            super().end_trial(trial)
        finally:
            self._ending = None

    def end_search(self, trial: Trial, reason: str) -> None:
        """Ends the search for all: the chief raises an error, the workers stop.

        The trial stays under way, so that a search which is started again repeats it.

        Args:
            trial: The trial under way.
            reason: String, the error.
        """
        self._reason = reason[:_MOST_CHARACTERS]
        try:
            super().end_trial(trial)
        finally:
            self._reason = None

    def get_best_trials(self, num_trials: int = 1) -> list[Trial]:
        """The best trials; after the search from memory, as the chief may be gone."""
        if self._best is None:
            return super().get_best_trials(num_trials)
        return self._best[:num_trials]

    def keep_alive(self, trial: Trial) -> None:
        """Sends the chief a sign of life; waits for no answer."""
        self.stub.send("GetTrial", _trial_request(trial))


def _trial_request(trial: Trial) -> Any:
    return messages.GetTrialRequest(trial_id=trial.trial_id)


class _PatientStub:
    """A gRPC stub that repeats a request while the chief is away.

    A request may arrive twice: a worker that has a trial gets the same trial again,
    and a second end of a trial is ignored.
    """

    def __init__(self, stub: Any, write_note: Callable[[], bytes]) -> None:
        self._stub = stub
        self._write_note = write_note

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._stub, name)

        def call(
            request: Any, wait_for_ready: bool = True, timeout: float | None = None
        ) -> Any:
            gives_up = time.monotonic() + PATIENCE_SECONDS
            metadata = ((_NOTE, self._write_note()),)
            pause = 0.05
            while True:
                try:
                    return method(
                        request,
                        wait_for_ready=wait_for_ready,
                        timeout=min(30.0, PATIENCE_SECONDS),
                        metadata=metadata,
                    )
                except grpc.RpcError as error:
                    if error.code() not in _AWAY:
                        raise RuntimeError(
                            f"CMAES: the chief refused {name}: {error.details()}"
                        ) from None
                    if time.monotonic() > gives_up:
                        raise ConnectionError(
                            f"CMAES: no chief at {_address()} for "
                            f"{PATIENCE_SECONDS:g} s. If its search was over, nothing "
                            "is lost; if it was killed, start it again: it continues."
                        ) from None
                time.sleep(pause)
                pause = min(2 * pause, 2.0)

        return call

    def send(self, name: str, request: Any) -> None:
        """Sends a request and does not wait for the answer."""
        metadata = ((_NOTE, self._write_note()),)
        getattr(self._stub, name).future(request, timeout=30.0, metadata=metadata)


def _note(context: Any) -> dict[str, Any]:
    """The note of a `SearchClient` to its message; empty for Keras Tuner's client."""
    metadata = dict(context.invocation_metadata())
    return json.loads(metadata.get(_NOTE, b"{}"))
