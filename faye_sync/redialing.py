"""One connection out of many: a client's links that follow each other.

What came over an earlier link is handed out before what came over the next;
a send that finds no link waits for one."""

from __future__ import annotations

from faye_sync.backlog import Command
from faye_sync.deadlines import deadline_after, seconds_left
from faye_sync.dialing import Dialing
from faye_sync.link import Link
from faye_sync.outage import Outage
from faye_sync.reconnect import Reconnect
from faye_sync.shutdown import hold
from faye_sync.sources import Sources
from faye_sync.taking import Style, no_message_within
from faye_sync.terms import Terms

# Whoever closes so has had enough, and wants no other connection.
_FINAL_CAUSES = frozenset(("local", "shutdown"))


class Redialing(Dialing):
    """The succession of a client's links. Every method is safe from any thread."""

    def __init__(self, terms: Terms, policy: Reconnect | None, open_timeout: float | None) -> None:
        super().__init__(terms, policy, open_timeout)
        self._sources = Sources()
        # A link that was dropped in order to have another, and one whose end is that of all.
        self._dropped: Link | None = None
        self._last: Link | None = None

    # --- sending across links -----------------------------------------------------------------------

    def _send(self, link: Link, commands: list[Command], timeout: float | None) -> bool:
        timeout = self._terms.send_timeout if timeout is None else timeout
        deadline = deadline_after(timeout)
        left = timeout
        while not self._transmit(link, commands, left):
            # Of several messages the lost connection may have taken some.
            if len(commands) > 1 or not self._is_followed(link):
                return self._not_sent(link)
            left = seconds_left(deadline)
            late = f"send did not finish within its deadline of {timeout} s: no connection came"
            following = self._open(left, late)
            if following is None:
                return self._not_sent(None)
            link, commands = following, _for_link(following, commands)
        return True

    # --- reading across links -----------------------------------------------------------------------

    def _open_for_reader(self) -> bool:
        self._find_home()
        return not self._is_refused()

    def _reader_link(self) -> Link | None:
        while True:
            outage = self._join_outage()
            if self._source is not None or outage is None:
                return self._source
            self._run(outage)
            outage.decided.wait()

    def _source_when_open(self, timeout: float | None, late: str = "") -> Link | None:
        late = late or no_message_within(timeout)
        link = self._open_within(timeout, "receive()", late)
        return self._source or link

    def _following(
        self, link: Link, deadline: float | None = None, timeout: float | None = None
    ) -> Link | None:
        if not self._is_followed(link):
            return None
        with self._dial_lock:
            self._sources.drop(link)
            self._source = self._sources.first
        if self._source is not None:
            return self._source
        if self._style is Style.CALLBACK:
            return self._reader_link()
        left = seconds_left(deadline)
        following = self._source_when_open(left, no_message_within(timeout))
        if following is None:
            raise self._refusal_error()
        return following

    def _linked(self, link: Link) -> None:
        self._sources.add(link)
        super()._linked(link)
        self._source = self._sources.first
        if self._dropped is not link:
            self._dropped = None
        hold(link)

    # --- the end of a link ----------------------------------------------------------------------------

    def _ended(self, link: Link) -> None:
        is_followed = self._is_followed(link)
        if not is_followed:
            self.resume()
        link.incoming.wake()
        outage = self._outage
        if is_followed and outage is not None and not self._is_for_reader():
            self._spawn_dialer(outage)

    def _is_followed(self, link: Link) -> bool:
        """Decide, once, whether another link is to follow one that has ended."""
        with self._dial_lock:
            if self._link is not link:
                outage = self._outage
                return outage is None or outage.fresh is not link
            if self._last is link:
                return False
            if not self._is_to_be_followed(link):
                self._last = None if link.final is None else link
                return False
            is_dropped = self._dropped is link
            outage = Outage(link.world, link.closing_error(), is_urgent=is_dropped)
            if self._close_with is not None:
                # A signal handler has closed just now.
                return False
            # Before the link goes, for one that does so in between.
            self._outage = outage
            self._link = None
            self._tries.lost()
            return True

    def _is_to_be_followed(self, link: Link) -> bool:
        if link.is_abandoned or self._close_with is not None:
            return False
        if self._dropped is link:
            return True
        return self._policy is not None and link.closing_error().cause not in _FINAL_CAUSES


def _for_link(link: Link, commands: list[Command]) -> list[Command]:
    """Make commands for one link out of those for another."""
    sending = link.driver.sending
    return [(getattr(sending, method.__name__), arguments) for method, arguments in commands]
