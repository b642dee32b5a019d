"""The study key: 32 random bytes. A process that has them is a peer.

A search across machines is one circle of trust: a peer may add events, and there is no lesser right to give
away. So there is one key per study and no certificates. A transport that encrypts derives what it needs from it
(ZeroMQ: a CURVE key pair, which every worker uses as server *and* as client).

The key lives in a file that only its owner can read or write: one that the user names (``--key``, ``key=`` or the
environment variable ``AIOHPO_KEY``), or ``study.key`` in the run directory, which the first process makes. The key
itself is never an argument of a command, which every user of the machine can list, nor in the environment, which
every program that the objective starts inherits, nor in a ``repr``.

A file is trusted for its owner and its mode, which are asked of the opened file. So a user who may write into the
run directory can take the key away, but cannot put another in its place. In a directory that is shared with its group
(:mod:`aiohpo.files`) the group may read the key, and a user who says that they trust it uses a key that a member made.
"""

from __future__ import annotations

import base64
import errno
import grp
import hashlib
import os
import pwd
import re
import secrets
import stat
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .errors import UsageError
from .files import NotRegular, is_shared, make_directory, open_regular, sync_directory

ENVIRONMENT = "AIOHPO_KEY"  # the name of a key file
FILE = "study.key"  # in a run directory
_MARK = "aiohpo-key-1:"
_TEXT = re.compile(re.escape(_MARK) + r"([A-Za-z0-9_-]*)")
_BARE = re.compile(r"[A-Za-z0-9_-]{43}=?")
_SIZE = 32
_MOST = 4096  # bytes of a key file that are looked at
_PATIENCE, _PAUSE = 40, 0.05  # looks at an empty key file, and seconds between them
_HEADER = "# The key of an aiohpo study: anyone who has it can join. Keep it secret.\n"


@dataclass(frozen=True, slots=True)
class StudyKey:
    """The secret of a study. ``secret`` is 32 bytes."""

    secret: bytes = field(repr=False)

    @classmethod
    def generate(cls) -> StudyKey:
        return cls(secrets.token_bytes(_SIZE))

    def derive(self, purpose: str) -> bytes:
        """32 secret bytes for one ``purpose``: what is learned of one purpose's tells nothing of another's."""
        return hashlib.blake2b(purpose.encode(), key=self.secret, digest_size=32, person=b"aiohpo-derive").digest()

    @property
    def text(self) -> str:
        """The key as its file holds it: secret."""
        return _MARK + base64.urlsafe_b64encode(self.secret).decode().rstrip("=")

    @property
    def fingerprint(self) -> str:
        """Eight hex digits that tell keys apart and reveal nothing of them."""
        return hashlib.blake2b(self.secret, digest_size=4, person=b"aiohpo-key").hexdigest()

    def __repr__(self) -> str:
        return f"<StudyKey {self.fingerprint}>"


def parse_key(text: str, where: str) -> StudyKey:
    """Find the key in ``text``; comments around it do not matter. Errors name ``where``, never the text."""
    found = _TEXT.findall(text)
    if len(found) != 1:
        raise UsageError(
            f"there is {'no' if not found else 'more than one'} key in {where}; make one: aiohpo keygen FILE"
        )
    # 43 digits hold 32 bytes; anything else was cut off or glued to something.
    if len(found[0]) != 43:
        raise UsageError(f"the key in {where} is damaged: {len(found[0])} characters after {_MARK!r} instead of 43")
    return StudyKey(base64.urlsafe_b64decode(found[0] + "="))


# What a study goes by that was told to have no key (``insecure``): anyone can forge what is authenticated under it.
NO_KEY = StudyKey(bytes(_SIZE))

_of_this_process = StudyKey.generate()


def process_key() -> StudyKey:
    """The key of the studies that live in this process only: made up when it starts, and never written down."""
    return _of_this_process


def read_key(path: Path) -> StudyKey:
    """Read a key file. Raises ``UsageError`` if it is not one, or if another user can read, write or replace it."""
    try:
        text = _read(path)
    except OSError as error:
        raise UsageError(
            f"cannot read the key file {path}: {error.strerror}; make one with: aiohpo keygen {path}"
        ) from None
    return parse_key(text.decode("utf-8", "replace"), str(path))


def _read(path: Path, flags: int = 0, group: int | None = None, trusts_group: bool = False) -> bytes:
    """Read the beginning of a key file after asking the open file whose it is.

    ``group`` is the one that its directory is shared with, whose members may read it; None: no other user may.
    """
    try:
        descriptor = open_regular(path, os.O_RDONLY | flags)
    except NotRegular as error:
        if error.errno == errno.ELOOP:
            raise  # a link where none is followed, for which the caller has words
        raise UsageError(f"the key file {path} is not a regular file; give the name of one, or remove it") from None
    try:
        found = os.fstat(descriptor)
        is_groups = group is not None and found.st_gid == group
        if found.st_uid not in (os.geteuid(), 0) and not (
            is_groups and trusts_group and _may_be_member(found.st_uid, found.st_gid)
        ):
            sharing = f"every member of the group {_group_name(found.st_gid)} completely: --share group (share='group')"
            alone = "that user completely, copy it to a file of your own (mode 0600) and name that with --key"
            raise UsageError(
                f"the key file {path} belongs to another user (uid {found.st_uid}), so it is not used: if you trust "
                f"{sharing if is_groups and not trusts_group else alone}; otherwise remove it, or use another directory"
            )
        if found.st_mode & (0o037 if is_groups else 0o077):
            raise UsageError(
                f"the key file {path} is open to others (mode {stat.S_IMODE(found.st_mode):04o}), who may have read "
                f"it: chmod 600 {path}, or make a new key"
            )
        return os.read(descriptor, _MOST)
    finally:
        os.close(descriptor)


def _group_name(group: int) -> str:
    try:
        return grp.getgrgid(group).gr_name
    except KeyError:
        return str(group)


def _may_be_member(user: int, group: int) -> bool:
    """Whether a user belongs to a group. One of whom nothing is known here may: the modes of the directory say so."""
    try:
        known = pwd.getpwuid(user)
    except KeyError:
        return True
    return group in os.getgrouplist(known.pw_name, known.pw_gid)


def write_key(path: Path, key: StudyKey, *, force: bool = False, shared: bool = False) -> None:
    """Write a key file that only its owner can read, and its group if it is ``shared``. Raises ``UsageError`` if
    there is one already, unless ``force``."""
    # What is replaced may be readable by others, and may be in use: so a new file takes its place at once.
    target = path.with_name(f".{path.name}.{secrets.token_hex(4)}") if force else path
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise UsageError(f"{path} exists already; choose another file, or replace it with --force") from None
    except OSError as error:
        raise UsageError(f"cannot write the key file {path}: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "w") as file:
            os.fchmod(file.fileno(), 0o640 if shared else 0o600)
            if os.fstat(file.fileno()).st_mode & (0o037 if shared else 0o077):
                raise UsageError(
                    f"the file system of {path.parent} does not keep file modes, so a key is not safe there; "
                    "keep it elsewhere (aiohpo keygen FILE) and give it with --key FILE"
                )
            file.write(f"{_HEADER}{key.text}\n")
            file.flush()
            os.fsync(file.fileno())
        if force:
            os.replace(target, path)
    except BaseException as error:
        target.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise UsageError(f"cannot write the key file {path}: {error.strerror}") from None
        raise


# --------------------------------------------------------------------------------------- keys in directories
def kept_key(directory: Path, *, share: bool = False) -> StudyKey | None:
    """The key that ``directory`` holds, None if it holds none. ``share``: the directory's group is trusted, if the
    directory is shared with it. Raises ``UsageError`` for a key that must not be used."""
    path = directory / FILE
    try:
        group = os.stat(directory).st_gid if is_shared(directory) else None
        text = _read(path, os.O_NOFOLLOW, group, share)
        for _ in range(_PATIENCE):  # where there are no hard links, its maker may be about to write it
            if text:
                break
            time.sleep(_PAUSE)
            text = _read(path, os.O_NOFOLLOW, group, share)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        why = "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror
        raise UsageError(
            f"cannot use the study's key {path}: {why}. Give the key with --key FILE, or use another directory"
        ) from None
    return parse_key(text.decode("utf-8", "replace"), str(path))


def keep_key(directory: Path, key: StudyKey, *, share: bool = False) -> StudyKey:
    """Leave ``key`` in ``directory``, which is made if need be (for its owner only, or to ``share`` it with its group),
    unless it holds one already.

    Returns the key that is there then: of several processes that do this at once, all get the first one's.
    """
    if (found := kept_key(directory, share=share)) is not None:
        return found
    try:
        make_directory(directory, shared=share, parents=True)
        shared = share and is_shared(directory)
    except OSError as error:
        raise UsageError(
            f"cannot make {directory} to keep the study's key in: {error.strerror}; give a key with --key FILE "
            "(aiohpo keygen FILE)"
        ) from None
    complete = directory / f".{FILE}.{secrets.token_hex(8)}"
    write_key(complete, key, shared=shared)
    try:
        os.link(complete, directory / FILE)  # only the first of several processes succeeds
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        try:
            write_key(directory / FILE, key, shared=shared)
        except UsageError:
            if not (directory / FILE).exists():
                raise
    finally:
        complete.unlink(missing_ok=True)
    sync_directory(directory)
    # Not what was written but what is there counts: only that has been asked whose it is.
    found = kept_key(directory, share=share)
    if found is None:
        raise UsageError(f"the study's key vanished from {directory}; start again, or give one with --key FILE")
    return found


def settle_key(given: StudyKey | None, places: Sequence[Path], *, share: bool = False) -> StudyKey | None:
    """The key of those who share the directories ``places``; each of these holds it afterwards.

    The key is ``given``, else the first that is kept in one of the places, else a new one; None without any place.
    ``share``: the groups that these directories are shared with are trusted. Raises ``UsageError`` where two keys
    contradict each other.
    """
    key = given
    if key is None:
        key = next((kept for place in places if (kept := kept_key(place, share=share)) is not None), None)
    if key is None and places:
        key = keep_key(places[0], StudyKey.generate(), share=share)
    if key is None:
        return None
    for place in places:
        try:
            kept = keep_key(place, key, share=share)
        except UsageError:
            if given is None:
                raise
            continue  # a key was given, so that none is needed where none can be kept or the one there is no good
        if kept != key:
            raise UsageError(
                f"{place / FILE} holds the key {kept.fingerprint}, but {key.fingerprint} "
                f"{'was given' if given is not None else 'is kept in ' + str(places[0])}: use one of them. To change "
                "the key of a directory, replace that file while no worker runs; checkpoints of the old key can no "
                "longer be read"
            )
    return key


def find_key(given: StudyKey | str | Path | None, environment: Mapping[str, str] = os.environ) -> StudyKey | None:
    """The key that the user chose: ``given`` (a key or its file), else that of the file named by ``AIOHPO_KEY``.

    Raises ``UsageError`` if that variable holds a key itself, also where another one is given: objectives that run in
    this process would see it.
    """
    check_no_key_text(environment.get(ENVIRONMENT), ENVIRONMENT)
    if isinstance(given, StudyKey):
        return given
    where = "key="
    if given is None:
        given, where = environment.get(ENVIRONMENT), ENVIRONMENT
    if not given:
        return None
    check_no_key_text(given, where)
    return read_key(Path(given).expanduser())


def check_no_key_text(given: object, where: str) -> None:
    """Raise ``UsageError`` that names ``where`` if this is a key itself and not the name of its file."""
    if is_key_text(given):
        raise UsageError(
            f"{where} holds a key itself where the name of its file belongs. The environment is passed on to every "
            "program that is started, the objective's too, and programs are copied and logged: write the key to a "
            "file that only you can read (mode 0600) and give the name of that"
        )


def is_key_text(given: object) -> bool:
    """Whether this is a key itself, whole or without its mark, and not the name of a file."""
    text = str(given) if isinstance(given, str | Path) else ""
    return _MARK in text or (_BARE.fullmatch(text) is not None and not os.path.exists(text))


def without_key(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for a program that is none of the search's own: it does not tell where the key is."""
    return {name: value for name, value in environment.items() if name != ENVIRONMENT}
