"""Reports as pages: charts with a table each, in both languages, with nothing from outside."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import Engine

from infra.catalog import organisations
from infra.db.engine import transaction
from infra.errors import SettingsError
from jobs.cli.main import main
from jobs.evaluation.reports import report, report_page
from jobs.evaluation.reports.charts import Bar, bar_chart, point_chart
from jobs.evaluation.tune import TuningResult


class Tags(HTMLParser):
    """Counts tags, and checks that each is closed by its own."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.counts: dict[str, int] = {}
        self._open: list[str] = []
        self.feed(content)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        if tag != "meta":
            self._open.append(tag)
        assert not any(name in {"src", "href"} or name.startswith("on") for name, _ in attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del tag, attrs


def row(model: str, part: str, ndcg: float, **more: Any) -> dict[str, Any]:
    figures = dict.fromkeys(
        ("recall", "ndcg", "hit_rate", "mrr", "coverage", "novelty", "diversity", "miscalibration"), ndcg
    )
    return {
        "model": model,
        "slice": part,
        "lists": 40,
        **figures,
        "ndcg_interval": [ndcg - 0.02, ndcg + 0.02],
        "baseline": "als",
        "ndcg_difference": ndcg - 0.2,
        "ndcg_difference_interval": [ndcg - 0.25, ndcg - 0.15],
        **more,
    }


ROWS = [
    row(model, part, 0.3 if model == "default" else 0.2) for part in ("warm", "cold") for model in ("default", "als")
]


def test_a_backtest_is_a_page_of_charts_with_a_table_each() -> None:
    html = report.backtest_page(ROWS, "march")

    tags = Tags(html).counts
    assert tags["svg"] == tags["details"] == 8
    assert tags["table"] == 9
    assert "script" not in tags
    assert tags["th"] == html.count('scope="col"')
    assert "NDCG by model, with history" in html
    assert len(html) < 3_000_000


def test_every_text_of_a_page_is_there_in_chinese() -> None:
    pages = [report.backtest_page(ROWS, "march", language=language) for language in report_page.LANGUAGES]

    assert '<html lang="zh-CN">' in pages[1]
    headings = re.findall(r"<h[12]>(.*?)</h[12]>|<p>(.*?)</p>", pages[1])
    texts = {text for pair in headings for text in pair if text}
    assert all(re.search(r"[\u4e00-\u9fff]", text) for text in texts)
    with pytest.raises(SettingsError, match="choose of en, zh-CN"):
        report.backtest_page(ROWS, "march", language="de")


def test_names_cannot_become_markup() -> None:
    html = report.backtest_page([row("<script>", "warm", 0.2), row('"x"&', "warm", 0.1)], "<b>")

    assert "<script>" not in html
    assert "<b>" not in html
    Tags(html)


def test_what_is_no_backtest_is_refused() -> None:
    for rows in ([], [{"model": "a"}], ["text"]):
        with pytest.raises(SettingsError, match="is no backtest"):
            report.backtest_page(rows, "march")


@pytest.mark.parametrize(
    ("name", "text"),
    [("cold", "没有学习记录"), ("tenure=longer", "加入时间=更久"), ("role={lists}=role", "角色={lists}=role")],
)
def test_slices_have_chinese_names_and_codes_stay(name: str, text: str) -> None:
    assert text in report.backtest_page([row("default", name, 0.3)], "march", language="zh-CN")


def test_a_chart_has_places_worked_out_by_hand() -> None:
    # From -0.5 to 0.5 over 420 units: 0 is at 270 + 210, and the interval ends at both ends.
    chart = bar_chart([Bar("a", 0.25, -0.5, 0.5)], title="t")

    assert '<rect class="plain" x="480.0" y="4.0" width="105.0" height="14"/>' in chart
    assert '<line x1="270.0" y1="11.0" x2="690.0" y2="11.0"/>' in chart
    assert bar_chart([], title="t") == point_chart([], title="t", x="x", y="y") == ""
    assert point_chart([("a", 1.0, 1.0)], title="t", x="x", y="y").count("<circle") == 1


def test_a_search_is_a_page_of_its_trials() -> None:
    trials = [{"ndcg": 0.3, "ease_regularization": 50.0}, {"ndcg": 0.2, "ease_regularization": 9.0}]
    held_out = [["as they were", 0.2, 0.1], ["tuned", 0.3, 0.2]]
    result = TuningResult(trials, {"ease_regularization": 1.0}, held_out, 30, "")

    for language in report_page.LANGUAGES:
        assert Tags(report.tuning_page(result, "ease", language=language)).counts["svg"] == 3


def test_a_night_is_a_page_of_its_lists_and_checks(engine: Engine, served: dict[str, Any]) -> None:
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        html = report.run_page(session, key, served["run_id"], min_group_size=1, language="zh-CN")

    assert Tags(html).counts["svg"] == 3
    assert "每位成员都有列表" in html
    assert '<td class="text">提醒</td>' in html, "the ranking has too little study to be learned"
    assert "个人学习记录" in html


def test_the_command_writes_the_page(working_folder: Path) -> None:
    (working_folder / "march.json").write_bytes(orjson.dumps(ROWS))

    assert main(["report", "march.json", "-o", "march.html", "--language", "zh-CN"]) == 0
    assert "回测" in (working_folder / "march.html").read_text(encoding="utf-8")
    (working_folder / "bad.json").write_text("{", encoding="utf-8")
    assert {main(["report", name, "-o", "x.html"]) for name in ("bad.json", "no.json")} == {2}


def test_models_are_shown_by_each_outcome_and_the_best_for_each_weight() -> None:
    rows = [
        row("default", "warm", 0.3, objectives={"began": 0.3, "completed": 0.1, "passed": None}, objective=0.3),
        row("als", "warm", 0.2, objectives={"began": 0.2, "completed": 0.35, "passed": None}, objective=0.2),
    ]

    english, chinese = (report.backtest_page(rows, "march", language=language) for language in report_page.LANGUAGES)

    part = english[english.index("<h2>From began to completed</h2>") :]
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", part[: part.index("</section>")])
    assert [cells[place : place + 3] for place in range(0, 15, 3)] == [
        ["0%", "default", "0.300"],
        ["25%", "default", "0.250"],
        ["50%", "als", "0.275"],
        ["75%", "als", "0.312"],
        ["100%", "als", "0.350"],
    ]
    assert "From began to passed" not in english
    assert "<h2>按学习结果的 NDCG</h2>" in chinese
    Tags(english)


def test_rankers_that_learn_by_weights_of_two_outcomes_are_a_curve_apart_from_the_models() -> None:
    figures = [(0.0, 0.3, 0.1), (0.5, 0.28, 0.2), (1.0, 0.2, 0.25)]
    rows = [
        row("default", "warm", 0.3, objectives={"began": 0.3, "passed": 0.1}, objective=0.3),
        *(
            row(
                f"default, passed {share:.0%}",
                "warm",
                began,
                objectives={"began": began, "completed": None, "passed": passed},
                objective=began,
                learned_by={"began": 1.0 - share, "passed": share},
            )
            for share, began, passed in figures
        ),
    ]

    english, chinese = (report.backtest_page(rows, "march", language=language) for language in report_page.LANGUAGES)

    part = english[english.index("<h2>Learned from began to passed</h2>") :]
    part = part[: part.index("</section>")]
    assert re.findall(r"<t[dh][^>]*>([^<]*)</t[dh]>", part) == [
        "weight", "began", "passed", "0%", "0.300", "0.100", "50%", "0.280", "0.200", "100%", "0.200", "0.250",
    ]  # fmt: skip
    assert part.count("<circle") == 3
    assert part.count("<line") == 2 + 2, "the axes, and from each point to the next"
    before = english[: english.index("<h2>All figures</h2>")]
    assert "default, passed" not in before, "they are no models of the product"
    assert "<h2>排序学习的目标：从开始学习到通过</h2>" in chinese
    Tags(english)
