"""Command that writes reports as pages: report."""

from pathlib import Path
from typing import Annotated

import typer

from jobs.cli.analysis.output_files import bytes_written, file_option
from jobs.cli.help import command
from jobs.cli.terminal import Options

app = typer.Typer()


@command(app, "report", "xuelu report march.json -o march.html --language zh-CN")
def report_command(
    options: Options,
    source: Annotated[str, typer.Argument(help="File that `xuelu backtest -o` wrote, or the id of a run.")],
    output: Annotated[Path, file_option("-o", text="File for the page.")],
    language: Annotated[str, typer.Option("--language", help="Language of the page: en or zh-CN.")] = "en",
) -> None:
    """Write a report of a backtest or a night as an HTML page.

    The page has charts and tables, and opens offline.
    """
    from jobs.evaluation.reports.report import backtest_page, run_page
    from jobs.evaluation.trials import read_backtest

    file = Path(source)
    if file.suffix == ".json" or file.exists():
        html = backtest_page(read_backtest(file), file.stem, language=language)
    else:
        with options.session() as (session, key, settings):
            smallest = settings.privacy.smallest_group
            html = run_page(session, key, source, min_group_size=smallest, language=language)
    output.write_text(html, encoding="utf-8")
    options.print({"file": output, "bytes": output.stat().st_size}, bytes_written(output))
