"""The texts of `--help`: what each command does, an example, and what its exit codes mean.

The first line of a command's is its summary.
"""

from __future__ import annotations

ABOUT = "One live Betfair session token, shared by any number of functions and bots."

MAIN = """\
to begin:
  betfair-session demo                       see it work; needs no account
  betfair-session certificate create         make what to upload at Betfair
  betfair-session doctor                     is all set up, and does it work?
  TOKEN=$(betfair-session token)             a live token; logs in only if there is none

environment (or a .env file in the working directory; the environment wins):
  BETFAIR_USERNAME, BETFAIR_PASSWORD, BETFAIR_APP_KEY
                                             the account
  BETFAIR_CERT_FILE, BETFAIR_KEY_FILE        its client certificate, or one of these instead:
    BETFAIR_CERT_PEM, BETFAIR_KEY_PEM        ... as PEM text
    BETFAIR_PKCS12_FILE                      ... as a .p12 or .pfx file
    BETFAIR_PKCS12_BASE64                    ... the same, as base64 text
  BETFAIR_CERT_PASSPHRASE                    what opens an encrypted key or PKCS#12 file
  BETFAIR_JURISDICTION                       such as italy; without it, international
  BETFAIR_IDENTITY_URL, BETFAIR_IDENTITY_CERT_URL, BETFAIR_API_URL, BETFAIR_CA_BUNDLE
                                             other hosts, such as the sandbox's
  BETFAIR_SESSION_STORE, BETFAIR_SESSION_KEY, BETFAIR_STORAGE_OPTIONS (JSON)
                                             where the token is kept

No secret is an argument, and only `token` prints the token. With --json, standard output is one
JSON document, {"error": {…}} where the command failed.

exit codes: 0 fine, 1 an error of ours, 2 wrong usage or configuration, 3 Betfair refused the login,
4 Betfair cannot tell or is down, 5 the store failed, 130 interrupted, 143 terminated
"""

_PLACE = """\
STORE is a directory or a URL such as s3://bucket/prefix, gs://…, abfs://…; KEY is the object's name
in it. Without them, BETFAIR_SESSION_STORE and BETFAIR_SESSION_KEY say where.
"""

TOKEN = f"""\
print a live session token, and nothing else

The stored token is verified with Betfair by one keepAlive. Only if it is dead, or there is none,
this logs in: once for all who share the store, so it may wait for another process.

{_PLACE}
examples:
  TOKEN=$(betfair-session token) || exit
  betfair-session token s3://bucket/betfair session.token --timeout 20

exit codes: 0 the token was printed; 1 another process is still logging in, or there were too many
logins; 2 configuration; 3 Betfair refused the login, see `status`; 4 Betfair cannot tell; 5 store
"""

CHECK = f"""\
ask Betfair whether the stored session lives

One keepAlive for the stored token, which also extends its session; never a login.

{_PLACE}No certificate is needed.

examples:
  betfair-session check && echo "the session lives"
  betfair-session check --json | jq -r .state

exit codes: 0 alive; 1 dead, or no token is stored (a plain "no", as of grep and test); 2
configuration; 4 Betfair cannot tell, so it may well be alive; 5 the store failed
"""

STATUS = f"""\
show what is stored and who is logging in

What the store says: how old the token is, who is logging in, which login was refused and how long
that counts. Betfair is not asked, so no variable of the account is needed.

{_PLACE}
examples:
  betfair-session status
  betfair-session status --json | jq -r .login.state

login.state is free, held (a process is logging in), refused (by Betfair), unanswered or unstored
(the last login ended so), or braked (too many in a minute). Times are the store's own.

exit codes: 0 it could be looked at, whatever was found; 2 configuration; 5 the store failed
"""

LOGOUT = f"""\
end the stored session and remove its object

Ends the session at Betfair, for all who share it, and removes the object; fine if there is none.

{_PLACE}No certificate is needed.

example:
  betfair-session logout ~/.betfair session.token

exit codes: 0 there is no session any more; 2 configuration; 4 Betfair cannot tell, and the token
stays; 5 the store failed
"""

UNLOCK = f"""\
let the next call log in at once, after the cause of a refusal was put right

After Betfair refused a login, all who share the store wait for 15 seconds to 20 minutes, so that
the account is not locked. The logins of the last minute stay counted: this library makes at most 4
a minute, since many more get the account banned.

{_PLACE}No certificate is needed.

example:
  betfair-session unlock && betfair-session token

exit codes: 0 nothing keeps the next call from logging in; 1 unlocked, but there were too many
logins in the last minute, and it says when the next is allowed; 2 configuration; 5 the store failed
"""

DOCTOR = f"""\
look at the whole setup and say what is wrong, without a login

  configuration    which variables are set, and where; never what they say
  certificate      would Betfair take it?
  store, writing   a small object beside the token is written, replaced on a condition and removed
                   again; token and lock are tried on a condition that cannot hold
  shared login     does the store keep conditions, so that one login serves all?
  next login       does anything keep it back, such as a refusal?
  proxy            which of the hosts are reached by HTTPS_PROXY, where that is set
  identity, certlogin
                   do both hosts answer over TLS? They are told nothing about you.
  clock            this machine's against Betfair's and the store's
  token            is the stored one alive? One keepAlive, which extends it.
  account          whose is it? The account API is asked with it (getAccountDetails).

The stored object names no account: two accounts that share one key take over each other's session.
See that the initials, currency and region are those you expect.

{_PLACE}
examples:
  betfair-session doctor
  betfair-session doctor --json | jq '.checks[] | select(.state == "problem")'

exit codes: 0 no problem (warnings are none); otherwise that of the first problem: 2 configuration
or certificate, 3 a login was refused, 4 Betfair, 5 the store, 1 anything else
"""

CERTIFICATE = "Betfair's certificate login needs a client certificate that you make and upload."

CREATE = """\
make a key and a self-signed certificate

Writes NAME.crt, NAME.key and NAME.pem, for you alone, and never overwrites a file. Upload the .crt
at Betfair; keep the others to yourself.

example:
  betfair-session certificate create --directory ~/.betfair
  export BETFAIR_CERT_FILE=~/.betfair/client-2048.crt BETFAIR_KEY_FILE=~/.betfair/client-2048.key

exit codes: 0 written; 2 a file is there already, or cannot be written
"""

EXPLAIN = """\
say what files are, and whether Betfair would take them

BETFAIR_CERT_PASSPHRASE opens encrypted ones. Whether the certificate was uploaded, only a login can
tell.

example:
  betfair-session certificate check client-2048.crt client-2048.key

exit codes: 0 no problem; 2 a problem
"""

SANDBOX = """\
run a local Betfair and print the environment to use

A Betfair of its own on this machine, with real TLS and client certificates, until Ctrl-C. It prints
the variables to use, and for a bot of your own where its API and stream are. Needs
betfair-session[sandbox].

examples:
  betfair-session sandbox                    then, in another terminal, paste what it printed and
  betfair-session doctor
  betfair-session sandbox --session-seconds 30
                                             to see a session expire

exit codes: 130 ended by Ctrl-C; 2 the extra is not installed; 1 it did not start
"""

DEMO = """\
see it work against a local Betfair; needs no account

Four steps, each a process of its own: a login, a resume, a session that died, and a store that
broke. What it shows it also checks. Needs betfair-session[sandbox].

example:
  betfair-session demo

exit codes: 0 all steps passed; 2 the extra is not installed; 1 a step failed
"""
