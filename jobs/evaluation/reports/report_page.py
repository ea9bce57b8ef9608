"""Report page: one self-contained HTML file with charts, a table for each, and no script."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from infra.errors import SettingsError

LANGUAGES: Final = ("en", "zh-CN")
STYLE: Final = """
:root { color-scheme: light; }
body { font: 16px/1.55 system-ui, "Noto Sans CJK SC", "Microsoft YaHei", sans-serif; color: #1c2430; background: #fff;
  max-width: 56rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; } h2 { font-size: 1.2rem; margin: 2.4rem 0 .3rem; }
p { margin: .3rem 0 .8rem; color: #4a5565; } figure { margin: .5rem 0; } svg { width: 100%; height: auto; }
svg text { font-size: 13px; fill: #1c2430; } svg line { stroke: #4a5565; stroke-width: 1.2; }
svg .plain { fill: #9db8d9; } svg .strong { fill: #1f5fa8; }
summary { cursor: pointer; color: #1f5fa8; } .wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .5rem 0; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid #dde3ea; text-align: right; }
th, td:first-child { white-space: nowrap; }
th:first-child, td:first-child, .text { text-align: left; } thead th { border-bottom: 2px solid #9aa7b5; }
@media print { details > * { display: block; } }
"""
CHINESE: Final = {
    "Backtest": "回测",
    "Tuning": "调参",
    "Night": "夜间运行",
    "table": "表格",
    "model": "模型",
    "slice": "分组",
    "lists": "列表数",
    "value": "数值",
    "95 %": "95 % 区间",
    "with history": "有学习记录的成员",
    "without history": "没有学习记录的成员",
    "NDCG by model, {part}": "各模型的 NDCG：{part}",
    "{lists} lists; whiskers: 95 % of a bootstrap over members.": "{lists} 份列表；须线：按成员自助抽样 95 %。",
    "{model} in each slice": "{model} 在各分组",
    "NDCG of its lists, or of the items of a format or language.": "列表的 NDCG；按形式和语言分组时只算该类内容。",
    "{model} beside the best single model of each slice": "{model} 与各分组最佳单一模型之差",
    "Paired difference in NDCG: right of the line it is better.": "逐份列表配对的 NDCG 之差：线右侧为更好。",
    "NDCG by outcome": "按学习结果的 NDCG",
    "Of the items begun, only those that led to the outcome count.": "在开始学习的内容中，只计有该结果的。",
    "From {first} to {second}": "从{first}到{second}",
    "By both; the table has the best model by the weight of the second.": "各模型按两种结果；表中为各权重的最佳模型。",
    "Learned from {first} to {second}": "排序学习的目标：从{first}到{second}",
    "NDCG by both outcomes of lists whose ranker learned them by weights, here that of the second.": (
        "排序模型按两种结果的权重学习时，列表按两种结果的 NDCG；图中为后者的权重。"
    ),
    "began": "开始学习",
    "completed": "完成",
    "returned": "下周返回",
    "objective": "目标",
    "weight": "权重",
    "Accuracy beside novelty": "准确度与新颖度",
    "Mean self-information of listed items, in bits.": "列表内容的平均自信息（比特），越热门越低。",
    "Coverage": "覆盖率",
    "Share of the catalogue that stands on any list.": "出现在任一列表中的内容占全部内容的比例。",
    "Variety": "多样性",
    "1 - the mean similarity of two items of a list, by topics.": "1 减去同一列表两项内容按主题的平均相似度。",
    "Calibration": "校准度",
    "How far topics of lists are from those studied; 0: the same.": "列表主题比例与已学主题比例的差距；0 为一致。",
    "novelty": "新颖度",
    "All figures": "全部数据",
    "Trials, best first": "各次试验（最佳在前）",
    "NDCG over all lists of the searched days.": "搜索日期内全部列表的 NDCG。",
    "Days held out of the search": "未参与搜索的日期",
    "settings": "设置",
    "as they were": "原设置",
    "tuned": "调参后",
    "trial": "试验",
    "Importance of the settings": "各设置的重要程度",
    "Share of the differences that each explains.": "各设置解释的差异比例。",
    "setting": "设置",
    "Strategies": "列表策略",
    "Members by strategy; small groups have no figures.": "按列表策略统计的成员数；人数过少的组不显示数据。",
    "strategy": "策略",
    "members": "成员数",
    "Popularity of listed items": "列表内容的热门程度",
    "Share of all places on lists, by tenths of the items listed most.": "内容按上榜次数分十份，各份占的位置。",
    "tenth": "第几份",
    "share": "比例",
    "Changes since the run before": "与上一次运行相比的变化",
    "Members by the share of the items of their list that stayed.": "按列表内容保留比例统计的成员。",
    "items that stayed": "保留的内容",
    "Checks": "检查",
    "check": "检查项",
    "result": "结果",
    "detail": "说明",
    "passed": "通过",
    "failed": "未通过",
    "warning": "提醒",
    "Steps": "步骤",
    "Seconds of each step.": "各步骤用时（秒）。",
    "step": "步骤",
    "seconds": "秒",
    "no change": "无变化",
    "warm": "有学习记录",
    "cold": "没有学习记录",
    "role": "角色",
    "industry": "行业",
    "format": "形式",
    "language": "语言",
    "tenure": "加入时间",
    "under a week": "不到一周",
    "under a month": "不到一个月",
    "under half a year": "不到半年",
    "longer": "更久",
    "recall": "召回率",
    "ndcg": "NDCG",
    "hit_rate": "命中率",
    "mrr": "MRR",
    "coverage": "覆盖率",
    "diversity": "多样性",
    "miscalibration": "校准差距",
}
Translate = Callable[..., str]


@dataclass(frozen=True, slots=True)
class Section:
    """A section of a report.

    Attributes
    ----------
    head : sequence of str
        Columns of the table.
    chart : str
        SVG; none: the table alone is shown.
    """

    title: str
    note: str
    head: Sequence[str]
    rows: Sequence[Sequence[object]]
    chart: str = ""


def translator(language: str) -> Translate:
    """Return the function from an English text and its values to the text in a language.

    Raises
    ------
    SettingsError
        Reports are not written in the language.
    """
    if language not in LANGUAGES:
        raise SettingsError(f"reports are not written in {language!r}; choose of {', '.join(LANGUAGES)}")

    def translated(text: str, **values: object) -> str:
        return (CHINESE.get(text, text) if language == "zh-CN" else text).format(**values)

    return translated


def page(title: str, subtitle: str, sections: Sequence[Section], *, language: str) -> str:
    """Return the page."""
    translated = translator(language)
    body = "".join(_section(section, translated) for section in sections if section.rows)
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    return (
        f'<!doctype html>\n<html lang="{language}"><head>{head}<style>{STYLE}</style></head><body><main>'
        f"<h1>{escape(title)}</h1><p>{escape(subtitle)}</p>{body}</main></body></html>\n"
    )


def _section(section: Section, translated: Translate) -> str:
    note = f"<p>{escape(section.note)}</p>" if section.note else ""
    styles = [' class="text"' if isinstance(value, str) else "" for value in section.rows[0]]
    heads = "".join(
        f'<th scope="col"{style}>{escape(name)}</th>' for name, style in zip(section.head, styles, strict=True)
    )
    rows = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in section.rows)
    caption = escape(section.title)
    table = f'<table aria-label="{caption}"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'
    table = f'<div class="wide" tabindex="0" role="region" aria-label="{caption}">{table}</div>'
    if section.chart:
        table = f"<details><summary>{escape(translated('table'))}</summary>{table}</details>"
    figure = f"<figure>{section.chart}</figure>" if section.chart else ""
    return f"<section><h2>{escape(section.title)}</h2>{note}{figure}{table}</section>"


def _cell(value: object) -> str:
    style = ' class="text"' if isinstance(value, str) else ""
    return f"<td{style}>{escape(_shown(value))}</td>"


def _shown(value: Any) -> str:
    """Return a value as the text of a cell.

    >>> _shown(0.12345), _shown(None), _shown([0.1, 0.25]), _shown(1200)
    ('0.123', '-', '0.100 – 0.250', '1,200')
    """
    if value is None:
        return "-"
    if isinstance(value, list):
        return " – ".join(f"{each:.3f}" for each in value)
    if isinstance(value, float):
        return f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
