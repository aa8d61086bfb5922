"""Many workers, one search: Keras Tuner's chief and worker service, made to last.

The messages are Keras Tuner's own. What is added: a worker outlives a restart of the
chief, a result travels in one piece with the name of who sends it, a worker's sign of
life, and a chief that ends when the search does, whatever became of its workers.
"""

import concurrent.futures
import ipaddress
import json
import os
import time
import warnings

import grpc
from keras_tuner.engine.trial import Trial, TrialStatus
from keras_tuner.src import protos
from keras_tuner.src.distribute import oracle_chief, oracle_client

from tfrobustloss.search.tuner import roles, trial_results

_NOTE = "tfrobustloss-bin"  # metadata beside a message: who sends it, and figures
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
PATIENCE_SECONDS = 600.0  # what a worker waits for a chief that does not answer
LINGER_SECONDS = 3.0  # without a call, after the end; workers that wait call oftener
_POLL_SECONDS = 0.2
_LONGEST_IDLE_SECONDS = 1.0
_MOST_CHARACTERS = 8000  # of a message
_BEST_TRIALS = 100  # that a worker keeps when the search has ended


def _address():
    return f"{os.environ[roles.IP]}:{os.environ[roles.PORT]}"


def _warn_if_open(host):
    """Warns if others than this machine's users can reach the port."""
    try:
        private = ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        private = host == "localhost"
    if not private:
        port = os.environ[roles.PORT]
        warnings.warn(
            f"CMAES: the chief listens on {_address()}. Keras Tuner's service knows no "
            "password and no encryption: whoever reaches the port can read the search, "
            "take its trials and make up results. Let a firewall admit your workers "
            f"alone, or keep {roles.IP}=127.0.0.1 and bring workers in through SSH "
            f"tunnels (ssh -L {port}:127.0.0.1:{port} ...).",
            stacklevel=4,
        )


# --- the chief


class _Servicer(oracle_chief.OracleServicer):
    """Keras Tuner's servicer, which ends the search at an error of the oracle."""

    def __init__(self, oracle):
        super().__init__(oracle)
        self.error = None
        self.last_call = time.monotonic()

    def _answer(self, method, request, context):
        """Runs a method of the base; its errors reach the worker, worded as here."""
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

    def CreateTrial(self, request, context):
        if self.error is not None:
            trial = Trial(self.oracle.get_space(), "", TrialStatus.STOPPED)
            return protos.get_service().CreateTrialResponse(trial=trial.to_proto())
        return self._answer(super().CreateTrial, request, context)

    def UpdateTrial(self, request, context):
        return self._answer(super().UpdateTrial, request, context)

    def GetTrial(self, request, context):
        return self._answer(super().GetTrial, request, context)

    def EndTrial(self, request, context):
        return self._answer(self._end_trial, request, context)

    def _end_trial(self, request, context):
        note = _note(context)
        if "ends_search" in note:
            worker, reason = note["tuner_id"], note["ends_search"]
            error = RuntimeError(f"CMAES: {worker} has ended the search. {reason}")
            self.error = self.error or error
            return protos.get_service().EndTrialResponse()
        if "reports" not in note:  # a worker with Keras Tuner's own client
            return super().EndTrial(request, context)
        trial = Trial.from_proto(request.trial)
        trial.message = note["message"]
        self.oracle.report(trial, note["tuner_id"], note["reports"])
        return protos.get_service().EndTrialResponse()

    def is_done(self):
        """Whether the chief may leave: all is over, and nobody waits to be told."""
        quiet = time.monotonic() - self.last_call > LINGER_SECONDS
        return quiet and (self.error is not None or self.oracle.is_over())


def serve(oracle):
    """Serves an oracle to workers until the search is over.

    Args:
        oracle: `CMAESOracle`.

    Raises:
        OSError: The port is taken.
        Exception: What ended the search before its time.
    """
    _warn_if_open(os.environ[roles.IP])
    oracle.idle_seconds = 0  # the workers wait; the service must not
    servicer = _Servicer(oracle)
    pool = concurrent.futures.ThreadPoolExecutor(max_workers=1)
    server = grpc.server(pool, options=_SERVER)
    protos.get_service_grpc().add_OracleServicer_to_server(servicer, server)
    try:
        server.add_insecure_port(_address())
    except RuntimeError:
        raise OSError(
            f"CMAES: the chief cannot listen on {_address()}. Does another run there? "
            f"Then choose a different {roles.PORT}."
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


class SearchClient(oracle_client.OracleClient):
    """Keras Tuner's client, which outlives a restart of the chief.

    Args:
        oracle: The worker's own oracle, for its objective and the like.
    """

    def __init__(self, oracle):
        super().__init__(oracle)
        channel = grpc.insecure_channel(_address(), options=_CLIENT)
        stub = protos.get_service_grpc().OracleStub(channel)
        self.stub = _PatientStub(stub, self._write_note)
        self._reports = {}  # trial id -> pairs of a step and metrics
        self._ending = None  # the trial whose end is being sent
        self._reason = None  # why the search must end
        self._idle_seconds = _POLL_SECONDS
        self._best = None  # trials, once the search is over

    def _write_note(self):
        note = {"tuner_id": self.tuner_id}
        if self._ending is not None:
            note["reports"] = self._reports.get(self._ending.trial_id, [])
            note["message"] = (self._ending.message or "")[-_MOST_CHARACTERS:]
        if self._reason is not None:
            note["ends_search"] = self._reason
        return json.dumps(note).encode()

    def create_trial(self, tuner_id):
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

    def update_trial(self, trial_id, metrics, step=0):
        """Keeps figures of a trial, to be sent with its end."""
        trial_results.check_reported(metrics, self.objective)
        plain = {name: float(value) for name, value in metrics.items()}
        self._reports.setdefault(trial_id, []).append((step, plain))
        return self.get_trial(trial_id)

    def get_trial(self, trial_id):
        """The trial as the chief knows it, with this worker's figures alone."""
        trial = super().get_trial(trial_id)
        trial.metrics = type(trial.metrics)()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # the best of only NaN
            for step, metrics in self._reports.get(trial_id, []):
                for name, value in metrics.items():
                    trial.metrics.update(name, value, step=step)
        return trial

    def end_trial(self, trial):
        """Sends the end of a trial and its figures in one piece."""
        self._ending = trial
        try:
            super().end_trial(trial)
        finally:
            self._ending = None

    def end_search(self, trial, reason):
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

    def get_best_trials(self, num_trials=1):
        """The best trials; after the search from memory, as the chief may be gone."""
        if self._best is None:
            return super().get_best_trials(num_trials)
        return self._best[:num_trials]

    def keep_alive(self, trial):
        """Tells the chief that a trial makes progress; waits for no answer."""
        self.stub.tell("GetTrial", _trial_request(trial))


def _trial_request(trial):
    return protos.get_service().GetTrialRequest(trial_id=trial.trial_id)


class _PatientStub:
    """A gRPC stub that asks again while the chief is away.

    Asking twice does no harm: a worker that has a trial is given that trial, and a
    second end of a trial is ignored.
    """

    def __init__(self, stub, write_note):
        self._stub = stub
        self._write_note = write_note

    def __getattr__(self, name):
        method = getattr(self._stub, name)

        def call(request, wait_for_ready=True, timeout=None):
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
                            "is lost; if it was killed, start it again: it goes on."
                        ) from None
                time.sleep(pause)
                pause = min(2 * pause, 2.0)

        return call

    def tell(self, name, request):
        """Sends a request and forgets it."""
        metadata = ((_NOTE, self._write_note()),)
        getattr(self._stub, name).future(request, timeout=30.0, metadata=metadata)


def _note(context):
    """What a client of ours wrote beside its message: a dict, empty for others."""
    metadata = dict(context.invocation_metadata())
    return json.loads(metadata.get(_NOTE, b"{}"))
