"""The command line: one file a command group, each imported when it is called."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import resource
import signal
import sys

import click

from medbench import __version__
from medbench.cli.commands import BEGINS, COMMANDS, FIRST, JOURNEY
from medbench.errors import MedbenchError, PluginError, ResourceError, UsageError
from medbench.machine_faults import find_machine_fault
from medbench.redact import sentence
from medbench.registry.source_lines import last_plugin_line

ADDRESS_SPACE = 2_000_000_000
"""Bytes. With half of it polars' threads were seen to wait for ever, with less it aborts."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called, so that ``--help`` stays quick."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is called; one that does not exist leads to the one that is meant."""
        if ctx.resilient_parsing:  # a shell asks how a word goes on
            return super().resolve_command(ctx, args)
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from medbench.cli.guesses import guess_command

            raise UsageError(f"there is no command {args[0]!r}: {guess_command(args[0])}")
        if args and args[0] in BEGINS and not {"-h", "--help"} & set(args):
            click.echo(BEGINS[args[0]], err=True)  # before libraries are loaded, which takes seconds on a busy machine
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order they are met."""
        return [*COMMANDS]  # not list(): once that command was imported, the name stands for its module

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import a command."""
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"medbench.cli.{COMMANDS[name][0]}")
        command: click.Command = getattr(module, "list_kind" if name == "list" else name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing any."""
        longest = max(map(len, COMMANDS))
        for title, commands in JOURNEY.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(longest), text) for name, (_, text) in commands.items()])


@click.command(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
)
@click.version_option(__version__, prog_name="medbench")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Compare data augmentation methods for medical image classification.

    Try: medbench run --augmenter hybrid
    """
    if ctx.invoked_subcommand is None:
        click.echo(FIRST)


class _Terminated(KeyboardInterrupt):
    """SIGTERM, on its way up like Ctrl-C, so that locks and job folders are cleaned up."""


def _terminate(number: int, frame: object) -> None:
    raise _Terminated


def _set_up() -> None:
    signal.signal(signal.SIGTERM, _terminate)
    # Records and plans of 100,000 training runs are kept, no garbage: looking through them took an eighth of the time.
    gc.set_threshold(1_000_000, 20, 100)
    # Workers start as `python -c`, which would let a timeit.py of the user's folder stand before the library's.
    os.environ.setdefault("PYTHONSAFEPATH", "1")


def main() -> None:
    """Run the command line and end with the exit code that fits."""
    _set_up()
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
    except click.NoSuchOption as error:
        _say(_without_option(error))
        sys.exit(error.exit_code)
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


def _without_option(error: click.NoSuchOption) -> str:
    """Word that a command has no such option, and which one is meant."""
    from medbench.cli.guesses import guess_option

    command = error.ctx.command_path if error.ctx is not None else "medbench"
    known = [o for p in error.ctx.command.params for o in (*p.opts, *p.secondary_opts)] if error.ctx is not None else []
    guess = guess_option(error.option_name, known)
    return f"there is no option {error.option_name}: {guess}{' ' * bool(guess)}`{command} --help` lists all of them."


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
