"""One login for the whole fleet.

Many processes share one token object. When the token is missing or dead, one of them logs in, and
the others wait for the new token and adopt it. Beside the token lies one small lock object, which
is taken by a conditional write. A call takes these steps (policy.py):

1. Read the token with its version.
2. Ask Betfair whether it is alive (keepAlive). Without a clear answer raise an error; never log in.
3. Dead or missing: read the lock. While another holds it, wait, and read token and lock in turn.
4. Raise if the lock tells of a refusal or a ban that still counts, or of too many logins a minute.
5. Take it if its version is unchanged, with a new nonce. If the answer is lost, read the lock.
6. Read the token again; if it has changed, give the lock back and start over. If an earlier token
   could not be stored, or its holder is gone, first write a blank in the dead token's place.
7. Go on only if the lease leaves time for the login and the write.
8. Log in, once.
9. Publish the token if the object still has the version of step 6. End the new session only if the
   store says that this failed.
10. Give the lock back with the outcome. The process remembers what it cannot write.

A Session (session.py) comes first: inside the trust window it returns its token without I/O, and
while the store cannot be read, it keeps its token alive without a login.
"""
