"""What each status of a Betfair login means: its class, and what the account holder can do.

The codes are those of Betfair's login pages, and a few that were seen live. The set is open: a code
that is not listed passes through by name with the class "unknown".

Classes: `credentials` (fix username, password or code), `account` (locked, suspended or closed),
`action` (something waits on the website), `certificate`, `location` (log in from elsewhere),
`jurisdiction` (another Betfair domain), `ban` (20 minutes), `temporary` (may pass by itself),
`request` (the request was malformed) and `unknown`.
"""

from __future__ import annotations

from betfair_session.process import NamedTuple

_BAN_SECONDS = 1200.0
_LADDER_SECONDS = (15.0, 60.0, 300.0, 900.0)

_UPLOAD = (
    "upload the .crt under My Account, Security, Automated Betting Program Access, and log in with "
    "that same file and its key"
)
_SITE = "log in to the Betfair website with this account"
_TERMS = f"The latest terms have not been accepted: {_SITE} and accept them."
_TWO_STEP = "The account has two-step login: give the code as well."

_CLASS_HINTS = {
    "credentials": "Check the username, the password and, with two-step login, the code.",
    "account": "The account is not allowed to log in: contact Betfair's customer service.",
    "action": f"The account holder has to do something: {_SITE} and complete what it asks for.",
    "certificate": "Either the certificate is not this account's, or the password is wrong.",
    "location": (
        "Betfair does not serve the location of this address: use another network or location "
        "(check the cloud region, proxy or VPN)."
    ),
    "jurisdiction": (
        "The account belongs to another Betfair domain: set `jurisdiction` or BETFAIR_JURISDICTION "
        "to the one in which it was opened."
    ),
    "ban": (
        "Too many logins: wait 20 minutes without trying. Existing sessions stay valid, so keep "
        "using a stored token; then find out what logs in so often."
    ),
    "temporary": "Betfair has a problem on its side that may pass by itself: try again later.",
    "request": (
        "Betfair found the login request malformed: check that the username, password and app key "
        "are complete and hold no stray quotes or line ends."
    ),
    "unknown": (
        f"This library does not know this code: {_SITE} to see what it says, and look the code up "
        "in Betfair's login documentation."
    ),
}

# Every code by its class, with its hint; an empty hint stands for that of the class.
CODES: dict[str, dict[str, str]] = {
    "credentials": {
        "INVALID_USERNAME_OR_PASSWORD": (
            "Check the username and password, and do not retry: repeated wrong passwords lock the "
            "account."
        ),
        "EMAIL_LOGIN_NOT_ALLOWED": "Use the account's username instead of its email address.",
        "MULTIPLE_USERS_WITH_SAME_CREDENTIAL": (
            "More than one account has these credentials: use the account's username, not its "
            "email address."
        ),
        "STRONG_CODE_FAIL": "The two-step code was wrong or had expired: use a fresh one.",
        "MULTI_FACTOR_AUTHENTICATION_REQUIRED": _TWO_STEP,
        "STRONG_AUTH_CODE_REQUIRED": _TWO_STEP,
        "INVALID_PIN": "The PIN was wrong: check it before trying again.",
    },
    "account": {
        "ACCOUNT_NOW_LOCKED": (
            "Too many wrong passwords have just locked the account: stop trying, reset the "
            "password on the website and correct it everywhere it is stored."
        ),
        "ACCOUNT_ALREADY_LOCKED": (
            "The account is locked: reset the password on the website or contact Betfair, then "
            "correct it everywhere it is stored."
        ),
        "DUPLICATE_CARDS": "One payment card is on more than one account: contact Betfair.",
        "SECURITY_QUESTION_WRONG_3X": "",
        "KYC_SUSPEND": (
            "The account is suspended until its holder's identity is proven: send Betfair the "
            "documents it asks for."
        ),
        "SUSPENDED": "",
        "CLOSED": "The account is closed: contact Betfair, or use another account.",
        "SELF_EXCLUDED": (
            "The account holder has self-excluded: no login is possible until that ends."
        ),
        "TRADING_MASTER": "A trading master account cannot log in here: use a sub-account.",
        "TRADING_MASTER_SUSPENDED": "",
        "AGENT_CLIENT_MASTER": "An agent client master cannot log in here: use a client account.",
        "AGENT_CLIENT_MASTER_SUSPENDED": "",
    },
    "action": {
        "PENDING_AUTH": f"The account is not yet confirmed: {_SITE} and finish what is pending.",
        "TELBET_TERMS_CONDITIONS_NA": (
            f"The telephone betting terms have not been accepted: {_SITE} and accept them."
        ),
        "DANISH_AUTHORIZATION_REQUIRED": (
            f"Denmark's authorization is missing: {_SITE} and grant it."
        ),
        "SPAIN_MIGRATION_REQUIRED": f"The account has to move to betfair.es: {_SITE} to do it.",
        "DENMARK_MIGRATION_REQUIRED": "",
        "ITALY_MIGRATION_REQUIRED": f"The account has to move to betfair.it: {_SITE} to do it.",
        "MIGRATION_REQUIRED": f"The account has to move to another domain: {_SITE} to do it.",
        "SPANISH_TERMS_ACCEPTANCE_REQUIRED": (
            "Spain's latest terms have not been accepted: log in to betfair.es and accept them."
        ),
        "ITALIAN_CONTRACT_ACCEPTANCE_REQUIRED": (
            "Italy's latest contract has not been accepted: log in to betfair.it and accept it."
        ),
        "ITALIAN_PROFILING_ACCEPTANCE_REQUIRED": (
            "The choice about profiling has not been made: log in to betfair.it and make it."
        ),
        "INTERNATIONAL_TERMS_ACCEPTANCE_REQUIRED": _TERMS,
        "TERMS_AND_CONDITIONS": _TERMS,
        "CHANGE_PASSWORD_REQUIRED": (
            "The password has to be changed: do it on the website, then correct it everywhere it "
            "is stored."
        ),
        "ACCOUNT_PENDING_PASSWORD_CHANGE": (
            "A password reset was begun but not finished: finish it on the website, then correct "
            "the password everywhere it is stored."
        ),
        "PERSONAL_MESSAGE_REQUIRED": f"A message waits to be read: {_SITE} and read it.",
        "SWEDEN_NATIONAL_IDENTIFIER_REQUIRED": (
            f"The Swedish personal number is missing: {_SITE} and enter it."
        ),
        "SWEDEN_BANK_ID_VERIFICATION_REQUIRED": (
            f"The account has to be verified with BankID: {_SITE} and verify it."
        ),
        "ACTIONS_REQUIRED": "",
        "CONTACT_VERIFICATION_REQUIRED": (
            f"The email address or telephone number is not verified: {_SITE} and verify it."
        ),
        "UNRECOGNIZED_DEVICE": (
            f"Betfair does not know this machine: {_SITE} from it and confirm it."
        ),
    },
    "certificate": {"CERT_AUTH_REQUIRED": ""},
    "location": {
        "NOT_AUTHORIZED_BY_REGULATOR_DK": (
            "Denmark's regulator does not let this account bet from here: contact Betfair."
        ),
        "NOT_AUTHORIZED_BY_REGULATOR_IT": (
            "Italy's regulator does not let this account bet from here: contact Betfair."
        ),
        "SECURITY_RESTRICTED_LOCATION": "",
        "BETTING_RESTRICTED_LOCATION": "",
    },
    "jurisdiction": {
        "AUTHORIZED_ONLY_FOR_DOMAIN": "",
        "AUTHORIZED_ONLY_FOR_DOMAIN_ES": 'Set `jurisdiction` or BETFAIR_JURISDICTION to "spain".',
        "AUTHORIZED_ONLY_FOR_DOMAIN_RO": 'Set `jurisdiction` or BETFAIR_JURISDICTION to "romania".',
        "AUTHORIZED_ONLY_FOR_DOMAIN_SE": 'Set `jurisdiction` or BETFAIR_JURISDICTION to "sweden".',
        "NOT_AUTHORIZED_FOR_DOMAIN_COM": "",
        "NOT_AUTHORIZED_FOR_DOMAIN_ES": "",
        "NOT_AUTHORIZED_FOR_DOMAIN_IT": "",
        "NOT_AUTHORIZED_FOR_DOMAIN_RO": "",
    },
    "ban": {"TEMPORARY_BAN_TOO_MANY_REQUESTS": ""},
    "temporary": {
        "INVALID_CONNECTIVITY_TO_REGULATOR_DK": (
            "Betfair cannot reach Denmark's regulator at the moment: try again later."
        ),
        "INVALID_CONNECTIVITY_TO_REGULATOR_IT": (
            "Betfair cannot reach Italy's regulator at the moment: try again later."
        ),
        "INTERNAL_ERROR": "",
    },
    "request": {
        "INPUT_VALIDATION_ERROR": "",
        "FORBIDDEN": (
            "Betfair does not allow this request: check the app key, and that the login is meant "
            "for this host and account."
        ),
    },
}

# What to add for a login with a certificate.
_WITH_CERTIFICATE = {
    "INVALID_USERNAME_OR_PASSWORD": (
        f"If they are right, make sure that the certificate is this account's: {_UPLOAD}."
    ),
    "CERT_AUTH_REQUIRED": f"For the certificate, {_UPLOAD}.",
    "DANISH_AUTHORIZATION_REQUIRED": (
        "Residents of Denmark cannot log in with a certificate at all."
    ),
}
# And for one without.
_INTERACTIVE = {
    "INVALID_USERNAME_OR_PASSWORD": (
        "If a two-step code was sent, check it, too: an account without two-step login has none."
    ),
}


class LoginStatus(NamedTuple):
    """What a status means: its class, and what the account holder can do, in a sentence or two."""

    login_class: str
    hint: str


def after_refusal(login_class: str, before: int) -> tuple[float, int]:
    """Return for how many seconds to send no login after a refusal, and how many count by then.

    `before` counted so far, in a row. Betfair says that a ban lasts 20 minutes. The rest is this
    library's choice: 15 seconds for "temporary" and "unknown" (and any class not listed), which do
    not count; 15 seconds, then 1, 5 and 15 minutes for the classes that need a person, since
    repeated attempts lock accounts.
    """
    if login_class == "ban":
        return _BAN_SECONDS, before + 1
    if login_class in {"temporary", "unknown"} or login_class not in CODES:
        return _LADDER_SECONDS[0], before
    return _LADDER_SECONDS[min(max(before, 0), len(_LADDER_SECONDS) - 1)], before + 1


def describe(code: str, *, certificate: bool = True) -> LoginStatus:
    """Look up the status of a login with a certificate or without.

    A code that is not listed has the class "unknown" and a general hint.
    """
    login_class = next((name for name, codes in CODES.items() if code in codes), "unknown")
    hint = CODES.get(login_class, {}).get(code) or _CLASS_HINTS[login_class]
    more = (_WITH_CERTIFICATE if certificate else _INTERACTIVE).get(code)
    return LoginStatus(login_class, f"{hint} {more}" if more else hint)
