"""One login for the whole fleet.

Many processes share one token object. When the token is missing or dead, one of them logs in, and
the others wait for the new token and adopt it. Beside the token lies one small lock object, which
is taken by a conditional write. A call goes these steps (policy.py):

1. Read the token with its version.
2. Ask Betfair whether it lives (keepAlive). "Cannot tell" ends the call: it leads to no login.
3. Dead or missing: read the lock. While another holds it, wait, and look at token and lock in turn.
4. Respect what it says of earlier logins: a refusal or a ban that still counts, too many a minute.
5. Take it, under the version that was read, with a fresh nonce. A lost answer is read back.
6. Read the token again; if it has changed, give the lock back and start over. If an earlier token
   could not be stored, or its holder is gone, first write a blank in the dead token's place.
7. Go on only if the lock's time leaves room for the login and the write.
8. Log in, once.
9. Publish the token under the version of step 6. End the session only if that certainly failed.
10. Give the lock back with what came of it; what cannot be noted is remembered by the process.

Session (session.py) is before this: within its trust window it asks nobody; and while the store
cannot be read, it keeps the token at hand alive, without a login.
"""
