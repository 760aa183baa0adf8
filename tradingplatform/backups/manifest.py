"""What a backup says of itself, and how it is held to that."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

FORMAT = 1
MANIFEST = "manifest.json"
READ_BYTES = 1 << 20


class BackupError(Exception):
    """A backup that cannot be made or used; the message is one line with the remedy in it."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """
    The contents of ``manifest.json`` beside the file of a backup.

    ``state_hash`` is the hash of the state that the backed-up rows describe, computed from the
    copy, not from the exchange that was running. ``migrations`` are "app.name".
    """

    format: int
    created_ms: int
    vendor: str
    file: str
    bytes: int
    sha256: str
    migrations: list[str]
    epoch: int
    batch: int
    last_command: int
    state_hash: str


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write the manifest of a backup."""
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    (directory / MANIFEST).write_bytes(text + b"\n")


def read_manifest(directory: Path) -> Manifest:
    """
    Return the manifest of a backup whose file is as it was written.

    Raises:
        BackupError: if anything is missing, damaged, or of a format that is not known here.
    """
    try:
        manifest = msgspec.json.decode((directory / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError) as error:
        raise BackupError(
            f"{directory} has no readable {MANIFEST} ({error}): use another"
        ) from error
    if manifest.format != FORMAT:
        raise BackupError(f"{directory} has format {manifest.format}, known is {FORMAT}")
    path = directory / Path(manifest.file).name
    try:
        size, digest = path.stat().st_size, sha256_of(path)
    except OSError as error:
        raise BackupError(f"{path} cannot be read ({error.strerror}): use another backup") from None
    if size != manifest.bytes:
        raise BackupError(
            f"{path} has {size} bytes and had {manifest.bytes}: it is damaged, use another backup"
        )
    if digest != manifest.sha256:
        raise BackupError(f"{path} is not what was written: it is damaged, use another backup")
    return manifest


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(READ_BYTES):
            digest.update(data)
    return digest.hexdigest()
