"""Files with the installation's own keys, made at the first start outside production."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path


def file_made_once(path: Path, make: Callable[[], bytes]) -> bytes:
    """
    Return a file's content, made once however many processes start together.

    Only the owner may read it, and it is on disk before anybody uses it.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        content = make()
        draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # link, unlike rename, fails when another process was first: then theirs counts.
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_bytes()
