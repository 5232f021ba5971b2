"""What may happen on the way to a token."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

EventKind: TypeAlias = Literal[
    "resumed",
    "trusted",
    "adopted",
    "logged in",
    "written",
    "logged out",
    "waited",
    "lease taken over",
    "refused",
    "cannot tell",
    "failed",
]


class Event(NamedTuple):
    """One thing that happened on the way to a token. It holds no secret.

    A call that asks the store and uses the token it finds there reports one of

    - "resumed": Betfair says that the stored token is alive;
    - "trusted": the store shows that it was verified within the trust window;
    - "adopted": another process logged in meanwhile, and its token is used.

    A call that logs in reports

    - "logged in": Betfair has made a session, whose token is not stored yet; then
    - "written": the token is stored. (There is no such event if the store's answer was lost, and
      only reading it back showed that the token is there.) Or, in its place,
    - "logged out": the session was ended, since its token could not be stored, or another token
      was stored first; one of the other events follows, for the outcome of the call. (If that
      logout fails, neither of the two comes.)

    A call that fails reports, last (unless your signal handler's exception cuts it short),

    - "refused": Betfair refused a login, now or a moment ago, or there were too many;
    - "cannot tell": Betfair or the store gave no clear answer, the store refused the request, or
      another login took too long. A call with a trust window may still return its token, until the
      session's usual end; and while the store cannot be read, any call may, if Betfair calls it
      alive ("resumed" follows then);
    - "failed": an argument or a setting cannot work, such as the certificate or the key.

    Before these there may be

    - "waited": for another process's login;
    - "lease taken over": from a process that did not finish its login in time.

    `Session.logout` reports "logged out", too. Who waits for another's call in the same process
    reports nothing: that call does.

    Attributes:
        kind: which of these.
        store: the store's URL for people, without credentials.
        key: the token's name.
        seconds: how long it took: the login alone for "logged in", the write for "written", the
            wait for "waited", the logout for "logged out"; for "lease taken over" the age of the
            lock, as far as it is known; for the others the whole call.
        detail: the error's text, the other process that logged in or held the lock, or a few words
            for people; else "".
    """

    kind: EventKind
    store: str
    key: str
    seconds: float = 0.0
    detail: str = ""
