"""The command line: one file a command group, each imported when it is called."""

from __future__ import annotations

import contextlib
import importlib
import os
import resource
import signal
import sys

import click

from medbench import __version__
from medbench.errors import MedbenchError, PluginError, ResourceError
from medbench.machine_faults import find_machine_fault
from medbench.redact import sentence
from medbench.registry.source_lines import last_plugin_line

ADDRESS_SPACE = 2_000_000_000
"""Bytes. With half of it polars' threads were seen to wait for ever, with less it aborts."""
COMMANDS = {
    "run": ("run", "Run a study and print its leaderboard."),
    "plan": ("plan", "Say what a run would do; spend nothing."),
    "status": ("status", "Say how far a run is."),
    "logs": ("status", "Show the log of a trial."),
    "leaderboard": ("leaderboard", "Print the leaderboard of a run."),
    "compare": ("compare", "Compare two arms, or plot every gain of a run."),
    "report": ("report", "Write a run as one page that needs no network."),
    "bundle": ("bundle", "Pack a run into one file that others can check."),
    "verify": ("verify", "Check a bundle: recompute every number from its predictions."),
    "publish": ("publish", "Verify a bundle and add it to the published entries."),
    "withdraw": ("publish", "Take a published entry back, with a reason."),
    "reproduce": ("publish", "Run one cell of a published entry again and compare."),
    "site": ("site", "Write static pages of published entries."),
    "init": ("init", "Set up a study of one's own folder of images."),
    "audit": ("audit", "Say what a data set gives away: duplicates, leaks, shortcuts."),
    "datasets": ("datasets", "List, show, check, draw and fetch data sets."),
    "plugins": ("plugins", "List, show, start and check plugins."),
    "weights": ("weights", "Get pretrained weights beforehand."),
    "store": ("store", "Check and repair stored results."),
    "doctor": ("doctor", "Check this installation."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called, so that ``--help`` stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order they are met."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import a command."""
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"medbench.cli.{COMMANDS[name][0]}")
        command: click.Command = getattr(module, name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80})
@click.version_option(__version__, prog_name="medbench")
def cli() -> None:
    """Does this augmentation help, by how much, at what cost, and can I believe it?

    Try: medbench run --augmenter hybrid
    """


class _Terminated(KeyboardInterrupt):
    """SIGTERM, on its way up like Ctrl-C, so that locks and job folders are cleaned up."""


def _terminate(number: int, frame: object) -> None:
    raise _Terminated


def main() -> None:
    """Run the command line and end with the exit code that fits."""
    signal.signal(signal.SIGTERM, _terminate)
    # Workers start as `python -c`, which would let a timeit.py of the user's folder stand before the library's.
    os.environ.setdefault("PYTHONSAFEPATH", "1")
    debug = os.environ.get("MEDBENCH_DEBUG", "") not in ("", "0")
    stdout = sys.stdout
    try:
        _check_address_space()
        try:
            code = cli.main(standalone_mode=False) or 0
            if stdout is not None:
                stdout.flush()
        except SystemExit:
            if sys.stdout is not stdout:  # click wraps the closed pipe it met and would end with 1
                raise BrokenPipeError from None
            raise
        sys.exit(code)
    except MedbenchError as error:
        if debug:
            raise
        _say(str(error))
        sys.exit(error.exit_code)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except (click.Abort, KeyboardInterrupt) as stop:
        click.echo("Interrupted. What was finished is stored; the same command goes on from there.", err=True)
        sys.exit(143 if isinstance(stop, _Terminated) or isinstance(stop.__context__, _Terminated) else 130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:
        _drop_output()  # whoever read us has seen enough
        sys.exit(0)
    except MemoryError:
        if debug:
            raise
        _say("there is not enough memory; use --workers 1, a smaller --budget size=..., or a machine with more.")
        sys.exit(6)
    except Exception as error:
        if debug:
            raise
        if (fault := find_machine_fault(error)) is not None:
            place = getattr(error, "filename", None)
            _say(f"{place}: {fault[1]}" if place else fault[1])
            with contextlib.suppress(OSError):
                _drop_output()
            sys.exit(6)
        message = f"{type(error).__name__}: {sentence(str(error))}"
        plugin, line = last_plugin_line(error)
        if plugin:
            _say(f"plugin {plugin!r} failed: {message} ({line}); mend it, or leave it out with -p no:{plugin}.")
            sys.exit(PluginError.exit_code)
        click.echo(
            f"Error: this is a fault of medbench: {message}\nRun it with MEDBENCH_DEBUG=1 to see where.", err=True
        )
        sys.exit(1)


def _check_address_space() -> None:
    """Refuse a limit under which libraries that are not ours end the process, or wait for each other for ever."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit not in (resource.RLIM_INFINITY, -1) and limit < ADDRESS_SPACE:
        raise ResourceError(
            f"this process may use {limit // 10**6:,} MB of address space, and needs {ADDRESS_SPACE // 10**6:,}: raise "
            "the limit (ulimit -v unlimited)."
        )


def _drop_output() -> None:
    """Send what is still buffered nowhere: Python would flush it when it ends, fail again, and exit with 120."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(message: str) -> None:
    from medbench.text import clean  # what is named in a message may be a hostile file name

    click.echo(f"Error: {clean(message)}", err=True)
