"""The causes of the error that ended some work, and what to show of them."""

from __future__ import annotations

import sys

from betfair_session.exceptions import BetfairSessionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType
    from typing import TypeVar

    from . import T

    E = TypeVar("E", bound=BaseException)

_MOST_ERRORS = 32  # that `chain` looks at
_SENDING = frozenset({"betfair_session", "betfairlightweight", "requests", "urllib3", "idna"})
_RAISED_BY = "Raised by:\n"
_MOST_LINES = 16  # of a traceback
_VARARGS = 4  # inspect.CO_VARARGS, whose module takes long to import


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes, as far as the code that raised it names them.

    Not its `__context__`: that leads out of the library, to an error that the caller was handling.
    """
    left, seen = [error], set[int]()
    while left and len(seen) < _MOST_ERRORS:
        each = left.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        # requests, urllib3, azure and botocore keep the cause of their error in these places.
        settings = getattr(each, "kwargs", None)
        held = [settings.get("error")] if isinstance(settings, dict) else []
        held += [getattr(each, "inner_exception", None), getattr(each, "reason", None)]
        held += [*reversed(each.args), each.__cause__]
        left += [part for part in held if isinstance(part, BaseException)]


def interruption(error: BaseException) -> BaseException | None:
    """Return the error that one of the program's signal handlers raised, if this comes from one.

    Such an error is not ours to handle, of any type: a TimeoutError after an alarm is no failure of
    the network. (Ctrl-C needs no such look, since `except Exception` lets it pass.) A handler gets
    the frame that it interrupted as an argument (docs of `signal.signal`), and in the traceback the
    handler's own frame follows that one.
    """
    return next((each for each in chain(error) if _from_handler(each)), None)


def unless_interrupted(*kinds: type[E]) -> tuple[type[E], ...]:
    """Return what an `except` clause catches: these errors, but no interruption."""
    error = sys.exception()
    return () if error and interruption(error) else kinds


def refused_tunnel(error: BaseException) -> str:
    """Return the HTTP status with which a proxy made no connection, or "" for any other error."""
    # http.client gives it in this text and nowhere else.
    text = str(error) if isinstance(error, OSError) else ""
    before, _, after = text.partition("Tunnel connection failed: ")
    return after[:3] if not before and after[:3].isdigit() else ""


def without_frames(send: Callable[[], T]) -> T:
    """Return what `send` returns; its error loses the frames below, whose locals hold a secret.

    Some tools take a text's content from a frame, whatever its repr shows. Where a program's own
    code is among them, such as a hook, a note tells the lines.
    """
    try:
        return send()
    except unless_interrupted(Exception) as error:
        failed = error
    for each in [*chain(failed)]:
        if not isinstance(failed, BetfairSessionError):
            _note_lines(each)
        each.__traceback__ = each.__context__ = None
    try:
        raise failed
    finally:
        del failed  # a traceback would keep itself


def _note_lines(error: BaseException) -> None:
    trace, packages = error.__traceback__, set[str]()
    while trace is not None:
        packages.add(str(trace.tb_frame.f_globals.get("__name__")).partition(".")[0])
        trace = trace.tb_next
    noted = any(note.startswith(_RAISED_BY) for note in getattr(error, "__notes__", ()))
    if not (noted or packages <= _SENDING | sys.stdlib_module_names):
        from traceback import format_tb

        error.add_note(_RAISED_BY + "".join(format_tb(error.__traceback__, limit=-_MOST_LINES)))


def quietly(step: Callable[..., object], *given: object) -> bool:
    """Do what nothing depends on; return whether it worked."""
    try:
        step(*given)
    except unless_interrupted(OSError):
        return False
    return True


def _from_handler(error: BaseException) -> bool:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        interrupted, trace = trace.tb_frame, trace.tb_next
        if any(value is interrupted for value in _arguments(trace.tb_frame)):
            return True
    return False


def _arguments(frame: FrameType) -> Iterator[object]:
    """Yield the arguments that a function was called with."""
    code, found = frame.f_code, frame.f_locals
    more = bool(code.co_flags & _VARARGS)
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + more]
    for name in names:
        value = found.get(name)
        yield from value if more and name == names[-1] and isinstance(value, tuple) else (value,)
