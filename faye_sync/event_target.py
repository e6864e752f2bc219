"""Listeners by event name: on, once, off, the on... attributes, and kept events.

What came before the first listener of its kind is kept for it, so that a
listener may be added after the connection stands."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar, overload

from faye_sync.concurrency import reentrant_lock
from faye_sync.errors import ConfigurationError
from faye_sync.events import ErrorEvent, Event

Listener = Callable[[Any], object]
L = TypeVar("L", bound=Listener)

NAMES = ("open", "message", "ping", "pong", "drain", "error", "close")
KEPT = frozenset({"open", "message", "error", "close"})

# How many of a kind are kept, where a connection that comes again and again makes more than one;
# messages are bounded by their octets.
KEPT_LIMITS = {"open": 1, "error": 64, "close": 1}

# Failures of listeners that are kept for an error listener to come. Each holds a traceback, and a
# listener may fail with every message.
KEPT_FAILURES = 16


class Attribute:
    """onopen and its like: one listener that runs before those of on()."""

    def __init__(self, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, target: None, owner: type) -> Attribute: ...

    @overload
    def __get__(self, target: EventTarget, owner: type) -> Listener | None: ...

    def __get__(self, target: EventTarget | None, owner: type) -> Attribute | Listener | None:
        return self if target is None else target._attributes.get(self._name)

    def __set__(self, target: EventTarget, listener: Listener | None) -> None:
        target._set_attribute(self._name, listener)


class _Once:
    """A listener of once(): takes itself away, then runs."""

    def __init__(self, target: EventTarget, name: str, listener: Listener) -> None:
        self._target = target
        self._name = name
        self.listener = listener

    def __call__(self, event: Event) -> None:
        self._target.off(self._name, self)
        self.listener(event)


class EventTarget:
    """Something that events are dispatched to. Listeners may be added from any thread."""

    __slots__ = (
        "_added",
        "_attributes",
        "_kept",
        "_kept_failures",
        "_listeners",
        "_listeners_lock",
    )

    onopen = Attribute("open")
    onmessage = Attribute("message")
    onerror = Attribute("error")
    onclose = Attribute("close")

    # The kinds of events there are.
    _names: tuple[str, ...] = NAMES

    def __init__(self) -> None:
        # Guards the three tables' writers; readers see one whole tuple or the other.
        # Reentrant, because a signal handler may close what its thread is adding a listener to.
        self._listeners_lock = reentrant_lock()
        self._attributes: dict[str, Listener] = {}
        self._added: dict[str, tuple[Listener, ...]] = {}
        self._listeners: dict[str, tuple[Listener, ...]] = {}
        self._kept: list[Event] = []
        self._kept_failures = 0

    @overload
    def on(self, name: str, listener: L) -> L: ...

    @overload
    def on(self, name: str, listener: None = None) -> Callable[[L], L]: ...

    def on(self, name: str, listener: Any = None) -> Any:
        """Call listener with each event of a kind; safe from any thread.

        Listeners run in the order of adding, on the thread that reads. An
        exception in one is logged and told to the error listeners; the
        reading goes on. open, message, error and close events that came
        before the first listener of their kind are handed to it; of listeners'
        exceptions, the first 16. Beside a message listener, an open, error or
        drain listener added after start() is told with the next octets.

        Args:
            name: open, message, ping, pong, drain, error or close; on a Client
                reconnect too.
            listener: Takes the event. Without one, on() is a decorator.

        Returns:
            The listener, or the decorator.

        Raises:
            ConfigurationError: There is no event of that name.
            TypeError: The listener cannot be called.
            RuntimeError: A message listener, while receive() is in use.
        """
        if listener is None:
            return lambda decorated: self.on(name, decorated)
        self._check(name, listener)
        self._add(name, listener)
        return listener

    @overload
    def once(self, name: str, listener: L) -> L: ...

    @overload
    def once(self, name: str, listener: None = None) -> Callable[[L], L]: ...

    def once(self, name: str, listener: Any = None) -> Any:
        """Call listener with the next event of a kind only; else like on().

        Args:
            name: As for on().
            listener: As for on().

        Returns:
            The listener, or the decorator.

        Raises:
            ConfigurationError: There is no event of that name.
            TypeError: The listener cannot be called.
            RuntimeError: A message listener, while receive() is in use.
        """
        if listener is None:
            return lambda decorated: self.once(name, decorated)
        self._check(name, listener)
        self._add(name, _Once(self, name, listener))
        return listener

    def off(self, name: str, listener: Listener) -> None:
        """Take a listener of on() or once() away, wherever added twice all of it.

        One that is not there is no error; safe from any thread.

        Args:
            name: As for on().
            listener: What on() was given.

        Raises:
            ConfigurationError: There is no event of that name.
        """
        self._check_name(name)
        with self._listeners_lock:
            self._added[name] = tuple(
                added
                for added in self._added.get(name, ())
                if listener not in (added, _original(added))
            )
            self._combine(name)

    def _listens(self, name: str) -> bool:
        return bool(self._listeners.get(name))

    def _dispatch(self, event: Event) -> bool:
        """Hand event to its listeners, or keep it for the first to come; on the reading thread.

        Returns:
            False when it was kept.
        """
        listeners = self._listeners.get(event.type) or self._keep(event)
        for listener in listeners:
            try:
                listener(event)
            except Exception as error:
                self._listener_failed(event, error)
        return bool(listeners) or event.type not in KEPT

    def _keep(self, event: Event) -> tuple[Listener, ...]:
        """Keep event for the first listener of its kind; returns those that came just now."""
        if event.type not in KEPT:
            return ()
        # Under the lock: whoever adds one from now on finds the event when he replays.
        with self._listeners_lock:
            listeners = self._listeners.get(event.type, ())
            if not listeners and self._may_keep(event):
                self._kept.append(event)
        return listeners

    def _may_keep(self, event: Event) -> bool:
        limit = KEPT_LIMITS.get(event.type)
        return limit is None or sum(kept.type == event.type for kept in tuple(self._kept)) < limit

    def _replay(self) -> None:
        """Hand out kept events that have a listener now; on the reading thread.

        A listener may add another, so that this is called inside itself."""
        if not self._kept:
            return
        with self._listeners_lock:
            waiting, self._kept = deque(self._kept), []
        unheard: set[str] = set()
        try:
            while waiting:
                event = waiting.popleft()
                if event.type in unheard:
                    # A listener that came just now must not get it before those kept again.
                    self._kept.append(event)
                elif not self._dispatch(event):
                    unheard.add(event.type)
        finally:
            self._kept.extend(waiting)

    def _listener_failed(self, event: Event, error: Exception) -> None:
        text = f"a listener of {event.type} raised {error!r}"
        self._report(text, error)
        if not isinstance(event, ErrorEvent) and self._may_tell_failure():
            self._dispatch(ErrorEvent(text, error))

    def _may_tell_failure(self) -> bool:
        if self._listens(ErrorEvent.type):
            return True
        self._kept_failures += 1
        return self._kept_failures <= KEPT_FAILURES

    def _report(self, text: str, error: BaseException) -> None:
        """Log text with the traceback of error."""
        raise NotImplementedError

    def _listener_added(self) -> None:
        """See to it that kept events are replayed."""
        raise NotImplementedError

    def _check(self, name: str, listener: object) -> None:
        self._check_name(name)
        if not callable(listener):
            raise TypeError(f"a listener must be callable, got {type(listener).__name__}")

    def _check_name(self, name: str) -> None:
        if name not in self._names:
            known = ", ".join(self._names)
            raise ConfigurationError(f"no event is named {name!r}; there are {known}")

    def _add(self, name: str, listener: Listener) -> None:
        with self._listeners_lock:
            self._added[name] = (*self._added.get(name, ()), listener)
            self._combine(name)
        self._listener_added()

    def _set_attribute(self, name: str, listener: Listener | None) -> None:
        if listener is not None:
            self._check(name, listener)
        with self._listeners_lock:
            self._attributes.pop(name, None)
            if listener is not None:
                self._attributes[name] = listener
            self._combine(name)
        if listener is not None:
            self._listener_added()

    def _combine(self, name: str) -> None:
        first = self._attributes.get(name)
        added = self._added.get(name, ())
        self._listeners[name] = added if first is None else (first, *added)


def _original(listener: Listener) -> Listener:
    """What the user gave to on() or once()."""
    return listener.listener if isinstance(listener, _Once) else listener
