"""``orgloop version``."""

from __future__ import annotations

import platform
from importlib.metadata import version as version_of

import click

from orgloop.cli.context import Context, pass_context


@click.command()
@pass_context
def version(context: Context) -> None:
    """Print the versions of OrgLoop and of Python."""
    found = version_of("orgloop")
    where = f"{platform.system().lower()} {platform.machine()} {platform.release()}"
    for line in (f"orgloop {found}", f"python {platform.python_version()}", f"platform {where}"):
        context.out.say(line)
    context.out.document({"orgloop": found, "python": platform.python_version(), "platform": where})
