"""The client as newcomers use it: addresses, keys, arguments, and answers that are none of the service's."""

import io
import json
import pickle
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

import httpx2
import pytest

from xuelu_client import Client, ClientError, Patience, ProblemError, UnreachableError
from xuelu_client.retry import seconds_until_retry

ADDRESS = "https://xuelu.example.org/study"
KEY = "xuelu_0a1b2c3d4e5f_secret"
EVENT = {"member_id": "m1", "item_id": "v1", "verb": "viewed", "occurred_at": "2026-03-01T08:00:00Z"}


class Answers(httpx2.BaseTransport):
    """Answers that are given in turn, the last one again and again."""

    def __init__(self, *answers: httpx2.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx2.Request] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        request.read()
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def client_of(*answers: httpx2.Response | Exception, key: str = KEY, address: str = ADDRESS) -> tuple[Client, Answers]:
    """Return a client that does not really wait, and its answers."""
    transport = Answers(*answers)
    return Client(address, key, patience=Patience(sleep=lambda _seconds: None), transport=transport), transport


@pytest.mark.parametrize(
    "address",
    ["xuelu.example.org", "localhost:8000", "ftp://x.org", "", "https://", "https://x.org/?a=1", "https://x.org/#a",
     "https://u:p@x.org", "https://x.org?"],
)  # fmt: skip
def test_an_address_that_is_none_is_refused_at_once(address: str) -> None:
    with pytest.raises(ValueError, match="give one such as"):
        client_of(httpx2.Response(200), address=address)


@pytest.mark.parametrize("key", ["", " ", "a b", "schlüssel", "a\nb", None])
def test_a_key_that_no_header_can_hold_is_refused_without_being_shown(key: Any) -> None:
    with pytest.raises(ValueError, match="the key is empty or has spaces in it") as refused:
        client_of(httpx2.Response(200), key=key)
    assert not (key or "").strip() or key not in str(refused.value)


def test_a_key_that_was_read_from_a_file_loses_its_line_end() -> None:
    client, answers = client_of(httpx2.Response(200, json={"requirements": []}), key=f"{KEY}\n")
    assert client.requirements_at_risk() == []
    assert answers.requests[0].headers["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("address", [ADDRESS, f"{ADDRESS}/", f" {ADDRESS}\n"])
def test_pages_behind_a_path_prefix_are_followed(address: str) -> None:
    link = {"Link": '</study/v1/items?topic=a+b&cursor=Yg>; rel="next"'}
    pages = [httpx2.Response(200, json={"items": [{"item_id": name}]}, headers=more) for name, more in
             (("a", link), ("b", {}))]  # fmt: skip
    client, answers = client_of(*pages, address=address)
    assert [item["item_id"] for item in client.each("items", topic="a b", role=None)] == ["a", "b"]
    assert [str(request.url) for request in answers.requests] == [
        f"{ADDRESS}/v1/items?limit=100&topic=a+b",
        f"{ADDRESS}/v1/items?topic=a+b&cursor=Yg",
    ]


CALLS: dict[str, tuple[type[Exception], Callable[[Client], Any]]] = {
    "one event": (TypeError, lambda client: client.post_events(EVENT)),  # type: ignore[arg-type]  # the mistake
    "a text": (TypeError, lambda client: client.post_events("abc")),  # type: ignore[arg-type]  # the mistake
    "events of a session": (TypeError, lambda client: client.session_list(EVENT)),  # type: ignore[arg-type]  # the mistake
    "no events": (TypeError, lambda client: client.post_events(None)),  # type: ignore[arg-type]  # the mistake
    "a set": (TypeError, lambda client: client.write("items", "a", {"topics": {"safety"}})),
    "not a number": (ValueError, lambda client: client.post_events([EVENT | {"progress": float("nan")}])),
    "one topic": (TypeError, lambda client: client.push_list("m1", topics="safety")),
    "one excluded item": (TypeError, lambda client: client.push_list("m1", exclude="v1")),
    "lines as dictionaries": (TypeError, lambda client: client.bulk_upsert("items", [{"item_id": "a"}])),  # type: ignore[list-item]  # the mistake
    "an empty id": (ValueError, lambda client: client.erase_member("")),
    "a dot": (ValueError, lambda client: client.remove("items", ".")),
    "two dots": (ValueError, lambda client: client.push_list("..")),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_mistake_is_refused_and_nothing_is_sent(call: str) -> None:
    client, answers = client_of(httpx2.Response(200, json={}))
    error, use = CALLS[call]
    with pytest.raises(error):
        use(client)
    assert answers.requests == []


def test_a_page_that_leads_to_itself_is_not_read_for_ever() -> None:
    link = {"Link": '</study/v1/items?cursor=Yg>; rel="next"'}
    client, answers = client_of(httpx2.Response(200, json={"items": []}, headers=link))
    with pytest.raises(ClientError, match="leads back to a page before"):
        list(client.each("items"))
    assert len(answers.requests) == 2


def test_times_and_days_are_sent_as_json_has_them() -> None:
    client, answers = client_of(httpx2.Response(200, json={"results": []}))
    client.post_events([EVENT | {"occurred_at": datetime(2026, 3, 1, 8, tzinfo=UTC), "day": date(2026, 3, 1)}])
    [event] = json.loads(answers.requests[0].content)["events"]
    assert (event["occurred_at"], event["day"]) == ("2026-03-01T08:00:00+00:00", "2026-03-01")


def test_a_bulk_body_of_a_file_is_sent_whole_in_each_attempt() -> None:
    client, answers = client_of(httpx2.Response(503), httpx2.Response(200, json={"stored": 1}))
    for file in (io.BytesIO(b"item_id\na\n"), io.StringIO("item_id\na\n")):
        assert client.bulk_upsert("items", file)["stored"] == 1
    assert client.bulk_upsert("items", "item_id\na\n")["stored"] == 1
    assert {request.content for request in answers.requests} == {b"item_id\na\n"}
    assert len(answers.requests) == 4


@pytest.mark.parametrize("answer", [httpx2.ReadTimeout("slow"), httpx2.Response(503, text="away")])
def test_a_rollback_and_an_erasure_are_sent_once(answer: Any) -> None:
    client, answers = client_of(answer, answer)
    for call in (client.roll_back, lambda: client.erase_member("m1")):
        with pytest.raises(ClientError):
            call()
    assert len(answers.requests) == 2


def broken_gzip() -> httpx2.Response:
    """Return an answer whose content cannot be decoded."""
    return httpx2.Response(200, headers={"Content-Encoding": "gzip"}, stream=httpx2.ByteStream(b"no gzip"))


ANSWERS: dict[str, tuple[Callable[[], httpx2.Response | Exception], type[Exception], str]] = {
    "a page": (lambda: httpx2.Response(200, text="<html>Welcome"), ClientError, "is this the address of the service"),
    "nothing": (lambda: httpx2.Response(204), ClientError, "answers no JSON"),
    "a redirect": (lambda: httpx2.Response(301, headers={"Location": "https://b.org/"}), ProblemError, "at https://b.org/"),
    "a page of a proxy": (lambda: httpx2.Response(400, text="<html>Bad"), ProblemError, "<html>Bad"),
    "a list": (lambda: httpx2.Response(400, json=["no"]), ProblemError, "no"),
    "half of a problem": (
        lambda: httpx2.Response(400, text='{"title', headers={"Content-Type": "application/problem+json"}),
        ProblemError, '{"title',
    ),
    "broken content": (broken_gzip, UnreachableError, "1 attempt ("),
    "a request that cannot be sent": (lambda: httpx2.LocalProtocolError("bad header"), UnreachableError, "bad header"),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_that_is_none_of_the_service_is_an_error_of_the_client(name: str) -> None:
    answer, error, text = ANSWERS[name]
    client, answers = client_of(answer())
    with pytest.raises(error) as raised:
        client.coverage()
    assert text in str(raised.value)
    assert len(answers.requests) == 1, "another attempt would end in the same way"


def times() -> Iterator[tuple[str, str | None, float | None]]:
    """Yield values of Retry-After and Date, and the seconds to wait."""
    date_header = "Sun, 29 Nov 2026 12:00:00 GMT"
    yield "7", None, 7.0
    yield " 7 ", None, 7.0
    yield "Sun, 29 Nov 2026 12:00:20 GMT", date_header, 20.0
    yield "Sunday, 29-Nov-26 12:00:20 GMT", date_header, 20.0
    yield "Sun Nov 29 12:00:20 2026", "Sun Nov 29 12:00:00 2026", 20.0
    yield "Sun, 29 Nov 2026 11:00:00 GMT", date_header, 0.0
    yield "Sun, 29 Nov 2026 12:00:20 GMT", None, None
    for value in ("", "-1", "1.5", "soon", "Fri, 31 Dec 9999 23:59:59 -2359", "Sun Nov 29 12:00:20 2026"):
        yield value, date_header if value != "Fri, 31 Dec 9999 23:59:59 -2359" else "soon", None


@pytest.mark.parametrize(("value", "sent_at", "seconds"), list(times()))
def test_the_wait_is_read_in_each_form_of_retry_after(value: str, sent_at: str | None, seconds: float | None) -> None:
    headers = httpx2.Headers([("Retry-After", value)])
    if sent_at is not None:
        headers["Date"] = sent_at
    assert seconds_until_retry(headers) == seconds


def test_a_problem_reaches_another_process_whole() -> None:
    """An error that cannot be unpickled leaves a pool of processes waiting for ever."""
    problem = ProblemError(404, {"title": "Not Found", "detail": "no member 'm1'"})
    copy = pickle.loads(pickle.dumps(problem))  # noqa: S301 - pickled in the same line
    assert (str(copy), copy.status, copy.problem) == (str(problem), problem.status, problem.problem)
