"""Client of an MLflow tracking server, by its REST API (https://mlflow.org/docs/latest/api_reference/rest-api.html).

MLflow's own client cannot be installed beside the versions that this product is locked to, and nine calls need none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote, urlsplit

import httpx2

from infra.errors import RemoteError, SettingsError

API: Final = "/api/2.0/mlflow"
ARTIFACTS: Final = "/api/2.0/mlflow-artifacts/artifacts"
IDENTITY: Final = "xuelu.trial"
"""Tag that names what a run was made from: none is written twice."""
FINISHED: Final = "FINISHED"
MAX_PARAMS: Final = 100
MAX_METRICS: Final = 1_000
"""Most of one request, by MLflow's limits."""
MAX_VALUE: Final = 6_000
"""Longest value of a parameter that MLflow takes; the rest of a longer one is left out."""
TIMEOUT_SECONDS: Final = 30.0
SHOWN_CHARACTERS: Final = 300
USER_VARIABLES: Final = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """Run as MLflow stores it.

    Attributes
    ----------
    at : datetime
        Its moment in MLflow.
    files : mapping
        Content of each artefact by its name.
    """

    identity: str
    name: str
    at: datetime
    params: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: Sequence[tuple[str, float, int]]
    files: Mapping[str, str] = field(default_factory=dict)


class TrackingServer:
    """Writes runs to an MLflow tracking server, until it is closed.

    Parameters
    ----------
    url : str
        Address of the server.
    user, password, token : str
        For HTTP Basic, or as a bearer; empty ones are not sent.

    Raises
    ------
    SettingsError
        The address is none of HTTP, or holds a user.
    """

    def __init__(self, url: str, *, user: str = "", password: str = "", token: str = "") -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
            raise SettingsError(
                f"{url.rpartition('@')[2]!r} is no address of an MLflow server; give one such as http://mlflow:5000,"
                f" and the user in {USER_VARIABLES}"
            )
        self.url = url.rstrip("/")
        self._client = httpx2.Client(
            auth=(user, password) if user else None,
            headers={"Authorization": f"Bearer {token}"} if token and not user else None,
            timeout=TIMEOUT_SECONDS,
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def experiment(self, name: str) -> str:
        """Return the id of an experiment, created where there is none.

        Raises
        ------
        RemoteError
            The server does not answer, or refuses, or the experiment is deleted there.
        """
        response = self._send("GET", f"{API}/experiments/get-by-name", params={"experiment_name": name}, or_none=True)
        if response is None:
            return str(self._send("POST", f"{API}/experiments/create", json={"name": name})["experiment_id"])
        if response["experiment"].get("lifecycle_stage") == "deleted":  # MLflow keeps it, with its name
            raise RemoteError(
                f"experiment {name!r} is deleted at {self.url}; restore it there, or name a new --experiment"
            )
        return str(response["experiment"]["experiment_id"])

    def record(self, experiment_id: str, run: TrackedRun) -> bool:
        """Write a run, and return whether it was not there; one that was written in part is completed.

        Raises
        ------
        RemoteError
            The server does not answer, or refuses; or it stores artefacts where this client cannot write.
        """
        search = {"experiment_ids": [experiment_id], "filter": f"tags.`{IDENTITY}` = '{run.identity}'"}
        present = self._send("POST", f"{API}/runs/search", json=search).get("runs", [])
        if any(each["info"]["status"] == FINISHED for each in present):
            return False
        milliseconds = int(run.at.timestamp() * 1_000)
        if present:
            info = present[0]["info"]
        else:
            tags = _pairs({**run.tags, IDENTITY: run.identity})
            body = {"experiment_id": experiment_id, "run_name": run.name, "start_time": milliseconds, "tags": tags}
            info = self._send("POST", f"{API}/runs/create", json=body)["run"]["info"]
        run_id = info["run_id"]
        metrics = [
            {"key": key, "value": value, "step": step, "timestamp": milliseconds} for key, value, step in run.metrics
        ]
        for name, rows, most in (("params", _pairs(run.params), MAX_PARAMS), ("metrics", metrics, MAX_METRICS)):
            for start in range(0, len(rows), most):
                body = {"run_id": run_id, name: rows[start : start + most]}
                self._send("POST", f"{API}/runs/log-batch", json=body)
        for name, content in run.files.items():
            self._send("PUT", f"{ARTIFACTS}/{_folder(info)}/{quote(name)}", content=content.encode())
        end = {"run_id": run_id, "status": FINISHED, "end_time": milliseconds}
        self._send("POST", f"{API}/runs/update", json=end)
        return True

    def _send(self, method: str, path: str, *, or_none: bool = False, **content: Any) -> Any:
        """Return the JSON of an answer; with ``or_none`` None where what is asked for does not exist."""
        try:
            response = self._client.request(method, self.url + path, **content)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise RemoteError(
                f"{self.url} does not answer: {error or type(error).__name__}; run the command again to go on"
            ) from error
        if or_none and response.status_code == httpx2.codes.NOT_FOUND and "RESOURCE_DOES_NOT_EXIST" in response.text:
            return None
        answer = f"{response.status_code}, {response.text[:SHOWN_CHARACTERS]!r}"
        if response.status_code in {401, 403}:
            # MLflow refuses unknown names of itself, too (mlflow/mlflow pull request 17910).
            raise RemoteError(
                f"{self.url} refuses: {answer}; set {USER_VARIABLES}, or start the server with --allowed-hosts if it"
                " refuses the host"
            )
        try:
            response.raise_for_status()
            return response.json() if response.content else {}
        except (httpx2.HTTPStatusError, ValueError) as error:
            raise RemoteError(f"{self.url}{path} answers {answer}; do what it says, or check the address") from error


def _folder(info: Mapping[str, Any]) -> str:
    """Return the folder of a run's artefacts on the server.

    Raises
    ------
    RemoteError
        They are stored elsewhere.
    """
    place = urlsplit(info["artifact_uri"])
    if place.scheme != "mlflow-artifacts":
        raise RemoteError(
            f"the experiment stores artefacts at {info['artifact_uri']!r}, not on the server; start the server with"
            " --serve-artifacts and name a new --experiment, or leave the pages out with --no-pages"
        )
    return quote(place.path.lstrip("/"))


def _pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value[:MAX_VALUE]} for key, value in values.items()]
