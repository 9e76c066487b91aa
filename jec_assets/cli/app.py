"""What all commands share: the application, the console, the settings, and how a mistake is told.

Belongs here: nothing that only one command needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import typer
from rich.console import Console
from typer.core import TyperGroup

if TYPE_CHECKING:
    from jec_assets.settings import Settings
    from jec_assets.storage import Storage


class Commands(TyperGroup):
    """All commands. What is wrong with the storage root is said by each in the same words, without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        from jec_assets.storage import ConflictError, StorageError

        try:
            return super().invoke(ctx)
        except (ConflictError, StorageError) as fault:
            fail(str(fault))


app = typer.Typer(
    cls=Commands,
    help="Jet energy calibration: simulate jets, serve models, see results. `jec settings` lists the JEC_* variables.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
console = Console(stderr=True)


def settings_now() -> Settings:
    """The settings of this environment; ends the command where one is wrong, naming it."""
    from pydantic import ValidationError

    from jec_assets.settings import Settings

    try:
        return Settings()
    except ValidationError as fault:
        wrong = [f"JEC_{'_'.join(map(str, each['loc'])).upper()}: {each['msg']}" for each in fault.errors()]
        fail("\n".join(wrong))


def storage_of(settings: Settings) -> Storage:
    """The storage root of the settings."""
    from jec_assets.storage import S3Access, Storage

    s3 = S3Access(settings.s3_addressing, settings.s3_attempts, read_seconds=settings.s3_seconds)
    return Storage(settings.storage_root, settings.work_folder / "cache", s3)


def fail(message: str) -> NoReturn:
    """Say what is wrong, on one screen and without a traceback, and end the command."""
    console.print(message, style="red", highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(1)
