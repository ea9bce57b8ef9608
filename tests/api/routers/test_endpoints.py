"""Endpoints of study apps over HTTP."""

from concurrent.futures import ThreadPoolExecutor

from starlette.testclient import TestClient

from infra.settings.settings import Settings
from tests.api.conftest import MakeKey
from tests.together import together

URL = "https://app.example/pushes"


def test_a_webhook_is_registered_read_rotated_and_removed(client: TestClient) -> None:
    created = client.post("/v1/endpoints", json={"url": URL})
    endpoint_id = created.json()["endpoint_id"]
    read = client.get(f"/v1/endpoints/{endpoint_id}").json()
    rotated = client.post(f"/v1/endpoints/{endpoint_id}/rotate", json={"overlap_hours": 1})
    listed = client.get("/v1/endpoints")

    assert created.status_code == 201
    assert created.json()["secret"].startswith("whsec_")
    assert (read["target"], read["kind"], read["status"]) == (URL, "webhook", "active")
    assert rotated.json()["secret"] not in {created.json()["secret"], None}
    assert listed.json() == {"endpoints": [read]}
    assert "whsec_" not in listed.text
    assert client.delete(f"/v1/endpoints/{endpoint_id}").status_code == 204
    assert client.get("/v1/endpoints").json() == {"endpoints": []}
    assert client.get(f"/v1/endpoints/{endpoint_id}").status_code == 404


@together(
    "url",
    [
        "https://user:password@app.example/",
        "file:///etc/passwd",
        "https://a/#b",
        "",
        URL.replace("https", "http"),
        "https://xn--a/",
    ],
)
def test_what_is_no_address_to_push_to_is_a_bad_request(client: TestClient, url: str) -> None:
    assert client.post("/v1/endpoints", json={"url": url}).status_code == 400


def test_an_address_that_is_taken_is_a_conflict(client: TestClient) -> None:
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _number: client.post("/v1/endpoints", json={"url": URL}), range(8)))
    first, *others = sorted(answers, key=lambda answer: answer.status_code)
    assert first.status_code == 201
    assert {answer.status_code for answer in others} == {409}
    assert "already" in others[0].json()["detail"]


def test_a_service_without_a_key_says_so(client: TestClient, settings: Settings) -> None:
    delivery = settings.delivery.model_copy(update={"secret_key": ""})
    client.app.state.settings = settings.model_copy(update={"delivery": delivery})  # type: ignore[attr-defined]  # an ASGI app is any callable

    answer = client.post("/v1/endpoints", json={"url": URL})

    assert answer.status_code == 409
    assert "XUELU_DELIVERY__SECRET_KEY" in answer.json()["detail"]
    assert client.get("/v1/endpoints").json() == {"endpoints": []}


def test_a_webhook_is_not_added_under_another_key_than_that_of_the_stored_secrets(
    client: TestClient, settings: Settings
) -> None:
    path = f"/v1/endpoints/{client.post('/v1/endpoints', json={'url': URL}).json()['endpoint_id']}"
    delivery = settings.delivery.model_copy(update={"secret_key": "x" * 40})
    client.app.state.settings = settings.model_copy(update={"delivery": delivery})  # type: ignore[attr-defined]  # an ASGI app is any callable
    answer = client.post("/v1/endpoints", json={"url": URL + "/2"})
    assert answer.status_code == 409
    assert "XUELU_DELIVERY__SECRET_KEY is not the key" in answer.json()["detail"]
    assert len(client.get("/v1/endpoints").json()["endpoints"]) == 1
    assert client.post(f"{path}/rotate", json={"overlap_hours": 0}).status_code == 200, "the way out where it is lost"
    assert client.post("/v1/endpoints", json={"url": URL + "/2"}).status_code == 201


def test_only_an_admin_of_the_organisation_gets_at_its_endpoints(client: TestClient, make_key: MakeKey) -> None:
    endpoint = client.post("/v1/endpoints", json={"url": URL}).json()
    path = f"/v1/endpoints/{endpoint['endpoint_id']}"
    client.headers["Authorization"] = f"Bearer {make_key('members:write', 'runs:write')}"
    assert client.get(path).status_code == 403
    assert client.post("/v1/endpoints", json={"url": URL}).status_code == 403
    client.headers["Authorization"] = f"Bearer {make_key(organisation='others')}"
    assert client.get(path).status_code == 404
    assert client.delete(path).status_code == 404
    assert client.post(f"{path}/rotate", json={}).status_code == 404
