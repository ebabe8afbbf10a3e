"""Ctrl-C: the first one ends a run in good order, the second one at once.

Either way no file is left half-written under its final name, and the next run removes temporary
files.
"""

import _thread
import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import NoReturn

from dpt_cli.errors import INTERRUPTED

WATCHER = "interrupts"  # the thread that waits for a second Ctrl-C
# One Ctrl-C may arrive twice: from the terminal, and from the program that started this one.
_SAME_KEYPRESS_S = 0.25
_SOON_S = 0.02
_SHOW_CURSOR = b"\x1b[?25h"


class Interrupts:
    """The state of Ctrl-C in this process."""

    def __init__(self) -> None:
        self._first: float | None = None
        self._is_over = False

    @property
    def came(self) -> bool:
        """Whether Ctrl-C was pressed."""
        return self._first is not None

    def end(self) -> None:
        """Ignore any further Ctrl-C: the work is done, and Python exits with its code."""
        self._is_over = True
        # SIG_IGN, not a handler: Python removes handlers before it has exited.
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def handle(self, _signal: int, _frame: FrameType | None) -> None:
        """Raise KeyboardInterrupt the first time; end the process the next time."""
        now = time.monotonic()
        if self._first is None:
            self._first = now
            raise KeyboardInterrupt
        if now - self._first > _SAME_KEYPRESS_S:
            self.leave()

    def leave(self) -> NoReturn:
        """End the process at once."""
        stderr = sys.stderr.fileno()  # descriptor 2 is redirected while a picture is decoded
        if os.isatty(stderr):
            os.write(stderr, _SHOW_CURSOR)  # a progress bar hides it
        os._exit(INTERRUPTED)

    def lost(self, unraisable: "sys.UnraisableHookArgs", /) -> None:
        """Repeat an interrupt that came where Python cannot raise, such as in a destructor."""
        if unraisable.exc_type is not KeyboardInterrupt:
            sys.__unraisablehook__(unraisable)
        elif not self._is_over:
            self._first = None
            # A little later: now it would be raised in here and lost again.
            again = threading.Timer(_SOON_S, _interrupt_again)
            again.daemon = True
            again.start()


def own_interrupts() -> Interrupts:
    """Handle Ctrl-C until the process ends; do nothing where it is ignored already."""
    interrupts = Interrupts()
    is_ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_ours:
        sys.unraisablehook = interrupts.lost
        if os.name == "posix":
            _watch(interrupts)
        signal.signal(signal.SIGINT, interrupts.handle)
    return interrupts


def _interrupt_again() -> None:
    if os.name == "posix":  # this also ends a wait
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        _thread.interrupt_main()


def _watch(interrupts: Interrupts) -> None:
    """Notice a second Ctrl-C while the main thread is in a call that Python cannot interrupt."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)

    def watch() -> None:
        first: float | None = None
        while number := os.read(read, 1):
            if number[0] != signal.SIGINT:
                continue
            now = time.monotonic()
            if first is None:
                first = now
            elif now - first > _SAME_KEYPRESS_S:
                interrupts.leave()

    threading.Thread(target=watch, name=WATCHER, daemon=True).start()
