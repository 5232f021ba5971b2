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

    A call that asks the store and uses the token it finds there tells one of

    - "resumed": the stored token lives, says Betfair;
    - "trusted": the store says that it was verified within the trust window;
    - "adopted": another process logged in meanwhile, and its token is used.

    One that logs in tells

    - "logged in": Betfair has made a session, which is not stored yet; then
    - "written": its token is stored, and used. (It is missing where the store's answer was lost,
      and only another look has shown the token there.) Or, in its place,
    - "logged out": the session was ended, since its token could not be stored, or another's was
      there first; then comes one of the others, for what became of the call.

    One that fails tells, last,

    - "refused": Betfair refused a login, now or a moment ago, or there were too many;
    - "cannot tell": Betfair or the store gave no clear answer, or another login took too long;
      within a trust window's session the call may go on with the token that it has, and when the
      store cannot be read, with one that Betfair calls alive: then "resumed" follows;
    - "failed": what was given cannot work, such as the certificate or the key.

    On the way there may be

    - "waited": for another process's login;
    - "lease taken over": from a process that did not finish its login in time.

    `Session.logout` tells "logged out", too.

    Attributes:
        kind: which of these.
        store: the store's URL for people, without credentials.
        key: the token's name.
        seconds: how long it took: the login alone for "logged in", the write for "written", the
            wait for "waited", the logout for "logged out"; for "lease taken over" the age of the
            lock, as well as it is known; for the others the whole call.
        detail: Betfair's status, who held the login, or the error's text; "" where there is none.
    """

    kind: EventKind
    store: str
    key: str
    seconds: float = 0.0
    detail: str = ""
