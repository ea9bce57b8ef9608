"""The Python client against the service itself."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from sqlalchemy import Engine, func, select
from starlette.testclient import TestClient

from api.app import create_app
from infra.db.core_tables import events
from infra.db.engine import transaction
from infra.settings.settings import Settings
from tests.api.conftest import make_key
from xuelu_client import Client, ProblemError, UnreachableError
from xuelu_client.retry import Patience

__all__ = ["make_key"]
ADDRESS = "https://xuelu.example.org"
Answer = Callable[[httpx2.Request], httpx2.Response | None]


class Service(httpx2.BaseTransport):
    """The service without a network; ``before`` and ``after`` stand for what a network does to requests and answers."""

    def __init__(self, app: TestClient) -> None:
        self.app = app
        self.asked: list[httpx2.Request] = []
        self.before: Answer = lambda _request: None
        self.after: Answer = lambda _request: None

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        if early := self.before(request):
            return early
        address = request.url.raw_path.decode()
        headers = {name: value for name, value in request.headers.items() if name != "host"}
        answer = self.app.request(request.method, address, content=request.read(), headers=headers)
        return self.after(request) or httpx2.Response(
            answer.status_code, headers=answer.headers, content=answer.content
        )


@pytest.fixture
def service(settings: Settings) -> Iterator[Service]:
    """Return the service, once for each kind of database."""
    with TestClient(create_app(settings)) as opened:
        yield Service(opened)


@pytest.fixture
def waits() -> list[float]:
    """Return the seconds that the client waited."""
    return []


@pytest.fixture
def client(service: Service, make_key: Callable[..., str], waits: list[float]) -> Iterator[Client]:
    """Return a client with a key that may do everything, and that does not really wait."""
    patience = Patience(sleep=waits.append, rng=random.Random(7))  # noqa: S311 - waits are no secrets
    with Client(ADDRESS, make_key(), patience=patience, transport=service) as opened:
        yield opened


def of_event(number: int, **more: Any) -> dict[str, Any]:
    """Return a study event."""
    event = {"member_id": f"m{number}", "item_id": "a/1", "verb": "viewed", "occurred_at": "2026-03-01T08:00:00Z"}
    return event | more


def test_things_are_written_read_changed_paged_and_removed(client: Client) -> None:
    for name in ("b", "a/1", "https://lms.example/仓库?x=1"):
        assert client.write("items", name, {"title": name})["item_id"] == name
    assert sorted(item["title"] for item in client.each("items", limit=2)) == [
        "a/1",
        "b",
        "https://lms.example/仓库?x=1",
    ]
    item, etag = client.read("items", "a/1")
    assert client.change("items", "a/1", {"title": None}, if_match=etag) == item | {"title": None}
    with pytest.raises(ProblemError, match="412 Precondition Failed"):
        client.write("items", "a/1", {}, if_match=etag)
    client.remove("items", "a/1")
    client.remove("items", "a/1")
    with pytest.raises(ProblemError) as missing:
        client.read("items", "a/1")
    assert (missing.value.status, missing.value.problem["title"]) == (404, "Not Found")
    with pytest.raises(ProblemError, match="412"):
        client.remove("items", "b", if_match='"other"')
    assert client.bulk_upsert("members", b"member_id\nm1\nm2\n")["stored"] == 2
    assert client.bulk_upsert("items", b'{"item_id": "c"}\n', as_="jsonl")["stored"] == 1
    assert [member["member_id"] for member in client.each("members")] == ["m1", "m2"]
    assert client.export_member("m1")["tables"]["members"][0]["member_id"] == "m1"
    assert client.erase_member("m1")["erased"]["members"] == 1


def test_events_whose_answer_got_lost_are_stored_once(client: Client, service: Service, engine: Engine) -> None:
    lost = iter([True, True, False, False])

    def lose(request: httpx2.Request) -> None:
        if request.url.path == "/v1/events" and next(lost):
            raise httpx2.ReadError("the line broke")

    service.after = lose
    results = client.post_events(of_event(number) for number in range(501))
    assert [outcome["status"] for outcome in results] == ["duplicate"] * 500 + ["unresolved"]
    with transaction(engine) as session:
        assert session.scalar(select(func.count()).select_from(events)) == 501
    assert len({outcome["event_id"] for outcome in results}) == 501


def test_events_are_sent_when_called_and_sending_them_again_stores_no_second(client: Client, engine: Engine) -> None:
    batch = [of_event(1), of_event(2)]
    client.post_events(batch)
    with transaction(engine) as session:
        assert session.scalar(select(func.count()).select_from(events)) == 2
    assert [result["status"] for result in client.post_events(batch)] == ["duplicate"] * 2
    assert client.post_events([]) == []


def test_the_good_events_of_a_batch_are_taken_where_that_is_wanted(client: Client) -> None:
    batch = [of_event(1, event_id="e1"), of_event(2, verb="dreamt")]
    with pytest.raises(ProblemError) as refused:
        client.post_events(batch)
    assert refused.value.problem["errors"]
    assert [outcome["status"] for outcome in client.post_events(batch, partial=True)] == ["unresolved", "rejected"]


def test_a_service_that_is_away_is_asked_again_after_what_it_says(
    client: Client, service: Service, waits: list[float]
) -> None:
    answers = iter([httpx2.Response(503, headers={"Retry-After": "7"}), httpx2.Response(429), None])
    service.before = lambda _request: next(answers)
    assert list(client.runs()) == []
    assert waits[0] == 7.0
    assert 0.5 <= waits[1] <= 1.0, "doubled once, shortened by chance"


def test_patience_ends(client: Client, service: Service, waits: list[float]) -> None:
    service.before = lambda _request: httpx2.Response(503, headers={"Retry-After": "3600"}, text="away")
    with pytest.raises(ProblemError, match="503") as away:
        client.rates()
    assert away.value.problem == {"detail": "away"}
    assert waits == [30.0] * 4, "no longer than the client is willing to wait"

    def broken(_request: httpx2.Request) -> None:
        raise httpx2.ConnectError("refused")

    service.before = broken
    with pytest.raises(UnreachableError, match="no answer to 5 attempts"):
        client.similar_items("a")
    with (
        pytest.raises(UnreachableError, match="at least 1"),
        Client(ADDRESS, "key", patience=Patience(attempts=0), transport=service) as hopeless,
    ):
        hopeless.push_list("m1")
    with (
        pytest.raises(UnreachableError, match=r"127\.0\.0\.1:8411: no answer to 1 attempt "),
        Client("http://127.0.0.1:8411", "key", patience=Patience(attempts=1), transport=service) as elsewhere,
    ):
        elsewhere.push_list("m1")


def test_what_is_wrong_is_not_asked_again(client: Client, service: Service) -> None:
    with pytest.raises(ProblemError):
        client.push_list("nobody")
    assert len(service.asked) == 1


def test_lists_runs_and_figures_are_read(client: Client, served: dict[str, Any]) -> None:
    shown = client.push_list("c1", n=3, language="zh-CN")
    assert (len(shown["items"]), shown["language"]) == (3, "zh-CN")
    assert client.similar_items(shown["items"][0]["item_id"])["run_id"] == served["run_id"]
    assert client.preview_list(role="83", industry="54", n=2)["strategy"] == "segment"
    assert client.session_list([{"item_id": "v1"}], n=2, language="en")["strategy"] == "session"
    assert [run["run_id"] for run in client.runs()] == [served["run_id"]]
    assert client.rates("role", since="2026-03-01")["by"] == "role"
    assert list(client.deliveries(status="dead")) == []
    assert client.coverage()["run_id"] == served["run_id"]
    assert client.item_report("https://lms.example/items/6?part=1")["run_id"] == served["run_id"]
    assert client.rows("c1", n=2)["rows"][0]["items"]
    with pytest.raises(ProblemError, match="the models of the run of 2026-03-02 are not stored"):
        client.push_list_changes("c1", since="2026-03-02")


@pytest.mark.usefixtures("served")
def test_members_choose(client: Client) -> None:
    assert client.save_for_later("c1", "v1")["item_id"] == "v1"
    assert [row["item_id"] for row in client.saved_items("c1")] == ["v1"]
    client.end_saving("c1", "v1")
    assert client.saved_items("c1") == []
    client.delete_interest("c1", "office")
    assert [row["topic"] for row in client.interests("c1")["deleted"]] == ["office"]
    client.restore_interest("c1", "office")
    assert client.interests("c1")["interests"][0]["topic"] == "office"


def test_study_is_required_and_waived(client: Client, served: dict[str, Any]) -> None:
    client.write("requirements", "rules", {"items": ["v1"], "due_on": "2020-01-01"})
    assert client.waive("c1", "rules", reason="ill")["reason"] == "ill"
    client.end_waiver("c1", "rules")
    with pytest.raises(ProblemError, match="404"):
        client.end_waiver("c1", "rules")
    assert client.requirements_at_risk() == [], "all of it is overdue"
    assert client.push_list("c1")["run_id"] == served["run_id"]


def test_the_only_run_stays_served(client: Client, served: dict[str, Any]) -> None:
    with pytest.raises(ProblemError, match="409"):
        client.roll_back()
    assert client.publish_run(served["run_id"])["status"] == "published"
