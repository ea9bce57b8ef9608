"""The demo: an invented organisation from its logs to three members' push lists. ``make demo`` runs it."""

import argparse
import os
import shutil
import socket
import sys
from contextlib import suppress
from pathlib import Path

import typer
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from infra.catalog import organisations
from infra.catalog import store as catalog
from infra.db.core_tables import events, members
from infra.db.engine import opened, transaction
from infra.settings.settings import Settings, load_settings
from jobs.cli import main as cli
from jobs.cli.keys import create_key
from jobs.cli.terminal import clock

FOLDER = Path("demo")
HOST, PORT = "127.0.0.1", 8000
OWN_SETTINGS = {"XUELU_DATABASE_URL", "XUELU_REJECTS_FOLDER", "XUELU_ARTEFACTS_FOLDER", "XUELU_ORGANISATION"}
"""Variables that would lead an invented organisation into a real database."""
FILES = (
    ("units", "units.csv"),
    ("items", "items.csv"),
    ("members", "members.csv"),
    ("members", "role_changes.csv"),
    ("events", "events.csv.gz"),
    ("requirements", "requirements.csv"),
)
SIZE = ("--members", "600", "--items", "400", "--days", "90", "--seed", "7")


def demo(folder: Path, *, serve: bool) -> int:
    """Simulate, ingest, run the night and show lists; serve them where asked. Return the exit status."""
    for name in [name for name in os.environ if name.upper() in OWN_SETTINGS]:
        del os.environ[name]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config = folder / "xuelu.toml"
    config.write_text(
        f'database_url = "sqlite:///{folder / "xuelu.db"}"\nrejects_folder = "{folder / "rejects"}"\n'
        f'artefacts_folder = "{folder / "artefacts"}"\n[ranker]\nwindow_days = 10\n',
        encoding="utf-8",
    )
    logs, options = folder / "logs", ("--config", str(config))
    for command in (
        ("simulate", str(logs), *SIZE, "--study-rules"),
        ("init", *options),
        *(("ingest", kind, str(logs / name), *options) for kind, name in FILES),
        ("doctor", *options),
        ("nightly", *options),
    ):
        if status := _run(*command):
            return status
    settings = load_settings(config)
    with opened(settings.database_url) as engine, transaction(engine) as session:
        chosen = three_members(session, settings)
    for who, member_id in chosen.items():
        typer.echo(f"\n{who}:")
        if status := _run("show", member_id, "-n", "6", *options):
            return status
    typer.echo("\nThe last one with twelve minutes on the bus:")
    if status := _run("show", member_id, "--minutes", "12", *options):
        return status
    program = os.path.relpath(Path(sys.executable).with_name("xuelu"))
    typer.echo(f"\nThe required study of which the night warns, by unit: {program} coverage --config {config}")
    if not serve:
        typer.echo(
            f"\nTo go on:\n  {program} serve --config {config}  serves these lists\n"
            f"  {program} why {member_id} --config {config}  shows what each score is made of"
        )
        return 0
    return _serve(settings, options, member_id)


def _serve(settings: Settings, options: tuple[str, ...], member_id: str) -> int:
    """Print a key and a request for a list of a member, and serve all lists until stopped."""
    key = create_key(
        settings,
        "demo",
        ["lists:read", "analytics:read", "runs:write", "catalogue:write", "members:write"],
        days=1,
        now=clock(),
    )
    port = free_port()
    address = f"http://{HOST}:{port}"
    typer.echo(
        f"\nMade a key for one day: {key['key']}\nThe console, to log in to with it: {address}/console\nAsk for a list:"
    )
    typer.echo(f"  curl -H 'Authorization: Bearer {key['key']}' '{address}/v1/members/{member_id}/push-list?n=3'")
    return _run("serve", "--host", HOST, "--port", str(port), *options)


def free_port() -> int:
    """Return a port on which nothing listens: :data:`PORT` if it is free."""
    for port in (PORT, 0):
        with socket.socket() as attempt, suppress(OSError):
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            attempt.bind((HOST, port))
            return int(attempt.getsockname()[1])
    return PORT  # `xuelu serve` says why it cannot listen


def three_members(session: Session, settings: Settings) -> dict[str, str]:
    """Return an active member, one with only a role and an industry, and one of another industry: ids by heading."""
    organisation_key = organisations.key_of(session, settings.organisation)
    mine = (members.c.organisation_key == organisation_key) & (events.c.organisation_key == organisation_key)
    activity = (
        select(members.c.member_id, members.c.industry, func.count().label("n"))
        .join(events, events.c.member_id == members.c.member_id)
        .where(mine, members.c.role.is_not(None), members.c.industry.is_not(None))
        .group_by(members.c.member_id, members.c.industry)
        .order_by(func.count().desc(), members.c.member_id)
    )
    busy = session.execute(activity).all()
    studied = select(events.c.member_id).where(events.c.member_id.is_not(None))
    fresh = (
        select(members.c.member_id)
        .where(members.c.organisation_key == organisation_key, members.c.member_id.not_in(studied))
        .where(members.c.role.is_not(None), members.c.industry.is_not(None), members.c.personalised.is_not(False))
        .order_by(members.c.member_id)
    )
    active = busy[0]
    other = next(row for row in busy if row.industry != active.industry)
    chosen = {
        "An active member": active.member_id,
        "A new member, of whom no more is known": session.execute(fresh).scalars().first() or active.member_id,
        "A member of another industry": other.member_id,
    }
    return {f"{who} ({_described(session, organisation_key, name)})": name for who, name in chosen.items()}


def _described(session: Session, organisation_key: int, member_id: str) -> str:
    """Return a member's role and industry in words."""
    member = catalog.member(session, organisation_key, member_id)
    taxonomies = organisations.taxonomies(session, organisation_key)
    return ", ".join(taxonomies[kind].short_name_of(member[kind], "en") for kind in ("role", "industry"))


def _run(*arguments: str) -> int:
    typer.echo(f"\n$ xuelu {' '.join(arguments)}")
    return cli.main(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run the demo from the command line."""
    parser = argparse.ArgumentParser(prog="python -m jobs.demo", description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="removed and made again; default: demo")
    parser.add_argument(
        "--serve",
        action="store_true",
        help="serve the lists on 127.0.0.1 until stopped: on port 8000, or on another where that is taken",
    )
    options = parser.parse_args(arguments)
    return demo(options.folder, serve=options.serve)


if __name__ == "__main__":
    sys.exit(main())
