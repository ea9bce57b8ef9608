"""Screen of a draft of the settings: checked as the service would, compared with what holds, tried, downloaded."""

import json
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from starlette.responses import Response

from api.console.access import Administrator, Viewer
from api.console.frame import console_router, csv_answer, page, redirected
from api.console.reference.settings import Setting, shown_settings
from api.console.run_difference import COLUMNS, group_names, rows_by_slice
from infra.errors import SettingsError
from infra.reports.runs.difference import SLICES
from infra.reports.runs.dry_runs import DryRun, DryRunRequest, DryRuns
from infra.settings.settings import SECRETS, Settings, read_draft

DOWNLOAD: Final = {"Content-Disposition": 'attachment; filename="xuelu.toml"'}

router = console_router()


class Change(NamedTuple):
    """A setting whose value in the draft is another one."""

    name: str
    now: Setting
    then: Setting


@router.get("/settings/draft")
def draft_page(viewer: Administrator) -> Response:
    """Return the form, filled with the settings that are not the default, and the last dry run."""
    return _page(viewer)


@router.post("/settings/draft")
def check_draft(viewer: Administrator) -> Response:
    """Return what the draft of the form would change, or the draft as a file, or start its dry run."""
    text, settings = viewer.form.get("toml", "").replace("\r\n", "\n"), viewer.settings
    try:
        draft = read_draft(text)
    except SettingsError as error:
        # A secret that was pasted is not sent back.
        shown = "" if any(name.rpartition(".")[2] in text for name in SECRETS) else text
        return _page(viewer, status=HTTPStatus.BAD_REQUEST, text=shown, fault=str(error))
    action = viewer.form.get("do")
    if action == "download":
        return Response(text, media_type="application/toml", headers=DOWNLOAD)
    changed, relists = changes(settings, draft), draft.digest() != settings.digest()
    if action == "try" and relists:
        if refused := _start_dry_run(viewer, draft, text):
            values = {"refused": refused, "changes": changed, "relists": relists}
            return _page(viewer, status=HTTPStatus.CONFLICT, text=text, **values)
        viewer.record("settings.dry_run", changed=[change.name for change in changed])
        return redirected(viewer.request, "/console/settings/draft")
    return _page(viewer, text=text, changes=changed, relists=relists)


@router.get("/settings/draft.csv")
def dry_run_csv(viewer: Administrator) -> Response:
    """Return the figures of the last dry run by group as CSV, none where there is no finished one."""
    dry_run = _last(viewer)
    figures = dry_run.figures if dry_run else None
    rows = rows_by_slice(figures, group_names(viewer, figures)) if figures else ()
    return csv_answer("dry-run.csv", COLUMNS, rows)


def _start_dry_run(viewer: Viewer, draft: Settings, text: str) -> str:
    """Start the dry run of a draft; return the key of the text that says why it was refused, empty if it was not."""
    settings = viewer.settings.model_copy(update={"organisation": viewer.caller.organisation})
    # Models are code: what a form names is not imported.
    if draft.models.extra != settings.models.extra:
        return "dry_run_own_models"
    draft = draft.model_copy(update={"artefacts_folder": settings.artefacts_folder})  # a form reads no other one
    request = DryRunRequest(settings=settings, draft=draft)
    dry_runs: DryRuns = viewer.request.app.state.dry_runs
    started = dry_runs.start(viewer.organisation_key, request, text=text, now=viewer.now)
    return "" if started else "dry_run_busy"


def _last(viewer: Viewer) -> DryRun | None:
    dry_runs: DryRuns = viewer.request.app.state.dry_runs
    return dry_runs.last(viewer.organisation_key)


def changes(settings: Settings, draft: Settings) -> list[Change]:
    """Return the shown settings that differ, in their order."""
    return [
        Change(f"{section}.{now.name}".removeprefix("."), now, then)
        for (section, before), (_, after) in zip(shown_settings(settings), shown_settings(draft), strict=True)
        for now, then in zip(before, after, strict=True)
        if now.value != then.value
    ]


def as_toml(settings: Settings) -> str:
    """Return the shown settings that are not the default as the text of a settings file."""
    lines: list[str] = []
    for section, rows in shown_settings(settings):
        changed = [row for row in rows if row.value not in (row.default, None)]
        if changed and section:
            lines += ["", f"[{section}]"]
        lines += [f"{row.name} = {_toml_value(row.value)}" for row in changed]
    return "\n".join(lines).strip() + "\n"


def _toml_value(value: Any) -> str:
    """Return a value as TOML, in which texts, numbers, flags and lists of these are written as in JSON.

    >>> _toml_value({"Mine": {"depth": 3}}), _toml_value(["a"]), _toml_value(True)
    ('{"Mine" = {"depth" = 3}}', '["a"]', 'true')
    """
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {_toml_value(part)}" for name, part in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)


def _page(viewer: Viewer, *, text: str | None = None, status: HTTPStatus = HTTPStatus.OK, **values: Any) -> Response:
    """Return the page with the text of a draft; by default that of the last dry run, unless it holds by now."""
    dry_run = _last(viewer)
    tried = _changes_tried(viewer.settings, dry_run)
    if text is None:
        text = dry_run.text if dry_run and tried else as_toml(viewer.settings)
    figures = dry_run.figures if dry_run else None
    names = group_names(viewer, figures) if figures else {}
    shown = {"changes": None, "relists": False, "fault": None, "refused": None, **values}
    shown |= {"dry_run": dry_run, "tried": tried, "difference": figures, "names": names, "slices": SLICES}
    return page(viewer, "settings_draft.html", status=status, text=text, **shown)


def _changes_tried(settings: Settings, dry_run: DryRun | None) -> list[Change]:
    """Return the changes of the last dry run's draft; none where the environment refuses it by now."""
    try:
        return changes(settings, read_draft(dry_run.text)) if dry_run else []
    except SettingsError:
        return []
