"""Tracking server that answers the calls of MLflow's REST API which the export makes, from memory."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts/"


class TrackingStore:
    """Server with the experiments, runs and artefacts that were written to it; a context manager.

    Attributes
    ----------
    experiments : dict
        Id of each by its name.
    runs : dict
        ``info, tags, params, metrics`` of each by its id.
    artefacts : dict
        Content by path.
    fails_at : str
        Part of a path at which it answers what ``failure`` says.
    root : str
        Place of artefacts.
    stage : str
        Life-cycle stage of all experiments.
    """

    def __init__(self) -> None:
        self.experiments: dict[str, str] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.artefacts: dict[str, bytes] = {}
        self.headers: list[dict[str, str]] = []
        self.fails_at = "nowhere"
        self.failure: tuple[int, Any] = 500, {"error_code": "INTERNAL_ERROR"}
        self.root = "mlflow-artifacts:"
        self.stage = "active"
        store = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                store.headers.append(dict(self.headers))
                status, content = store.answer(self.path, body)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(b"" if content is None else json.dumps(content).encode())

            do_GET = do_POST = do_PUT = _answer  # noqa: N815 - named by the library

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, address: str, body: bytes) -> tuple[int, Any]:
        """Return the status and the JSON of an answer."""
        parts = urlsplit(address)
        if self.fails_at in parts.path:
            return self.failure
        if parts.path.startswith(ARTIFACTS):
            self.artefacts[unquote(parts.path.removeprefix(ARTIFACTS))] = body
            return 200, None
        content = json.loads(body or b"{}") | {name: value for name, (value,) in parse_qs(parts.query).items()}
        calls = {
            "experiments/get-by-name": self._experiment,
            "experiments/create": self._new_experiment,
            "runs/create": lambda content: {"run": {"info": self._created(content)}},
            "runs/search": self._runs,
            "runs/log-batch": self._log,
            "runs/update": self._update,
        }
        answer = calls[parts.path.removeprefix("/api/2.0/mlflow/")](content)
        return (404, {"error_code": "RESOURCE_DOES_NOT_EXIST"}) if answer is None else (200, answer)

    def _experiment(self, content: dict[str, Any]) -> dict[str, Any] | None:
        experiment_id = self.experiments.get(content["experiment_name"])
        experiment = {"experiment_id": experiment_id, "lifecycle_stage": self.stage}
        return experiment_id and {"experiment": experiment}  # type: ignore[return-value]  # no id is empty

    def _new_experiment(self, content: dict[str, Any]) -> dict[str, Any]:
        self.experiments[content["name"]] = str(len(self.experiments) + 1)
        return {"experiment_id": self.experiments[content["name"]]}

    def _runs(self, content: dict[str, Any]) -> dict[str, Any]:
        wanted = re.fullmatch(r"tags\.`([^`]+)` = '([^']+)'", content["filter"])
        assert wanted is not None
        runs = [run for run in self.runs.values() if run["tags"].get(wanted[1]) == wanted[2]]
        return {"runs": [{"info": run["info"]} for run in runs]}

    def _log(self, content: dict[str, Any]) -> dict[str, Any]:
        run = self.runs[content["run_id"]]
        assert len(content.get("params", [])) <= 100, "a limit of MLflow's"
        run["params"] |= {each["key"]: each["value"] for each in content.get("params", [])}
        run["metrics"] |= {(each["key"], each["step"]): each["value"] for each in content.get("metrics", [])}
        return {}

    def _update(self, content: dict[str, Any]) -> dict[str, Any]:
        self.runs[content["run_id"]]["info"]["status"] = content["status"]
        return {}

    def _created(self, content: dict[str, Any]) -> dict[str, Any]:
        run_id = f"r{len(self.runs) + 1}"
        place = f"{self.root}/{content['experiment_id']}/{run_id}/artifacts"
        info = {"run_id": run_id, "run_name": content["run_name"], "status": "RUNNING", "artifact_uri": place}
        tags = {each["key"]: each["value"] for each in content["tags"]}
        self.runs[run_id] = {"info": info, "tags": tags, "params": {}, "metrics": {}}
        return info
