"""Signatures by ssh-keygen: who made a bundle or ran a cell again, not whether it is true."""

from __future__ import annotations

import base64
import binascii
import shutil
import subprocess
import tempfile
from pathlib import Path

from medbench.errors import ResourceError, UsageError
from medbench.publishing.refusals import Refused

NAMESPACE = "medbench-bundle"
LIMIT_S = 30
LARGEST = 16 * 2**10  # bytes of a signature; RSA of 16,384 bits takes 6 KiB
_HEAD, _TAIL = "-----BEGIN SSH SIGNATURE-----\n", "\n-----END SSH SIGNATURE-----\n"


def sign(manifest: bytes, key: Path, *, namespace: str = NAMESPACE) -> bytes:
    """Sign a manifest with a private key, or with the agent's where `key` is a public one.

    Args:
        manifest: Its bytes.
        key: Of OpenSSH.
        namespace: What is signed: a signature of a bundle is none of a row of the ledger.

    Raises:
        UsageError: If the key cannot be used.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "manifest"
        path.write_bytes(manifest)
        done = _ssh_keygen("-Y", "sign", "-n", namespace, "-f", str(key), str(path))
        if done.returncode:
            raise UsageError(f"--sign {key}: {_last_line(done)}; give a private key that ssh-keygen can use.")
        return path.with_name("manifest.sig").read_bytes()


def signer_of(manifest: bytes, signature: bytes | None, allowed: str | None) -> str | None:
    """Return who signed a manifest.

    Args:
        manifest: Its bytes.
        signature: Of the bundle; None without one.
        allowed: Lines of allowed signers, as ``man ssh-keygen`` describes them; None knows nobody.

    Returns:
        The name by which `allowed` knows the signer; empty for a good signature of an unknown key; None without one.

    Raises:
        Refused: MB910 for a signature that is wrong, and where `allowed` is given for none or a stranger's.
    """
    if signature is None:
        if allowed is not None:
            raise Refused("MB910", "the bundle is not signed, and --allowed-signers asks for it; sign it with --sign.")
        return None
    _check_form(signature)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "manifest.sig"
        path.write_bytes(signature)
        if allowed is None:
            done = _ssh_keygen("-Y", "check-novalidate", "-n", NAMESPACE, "-s", str(path), given=manifest)
            if done.returncode:
                raise Refused("MB910", f"the signature does not fit the manifest ({_last_line(done)}).")
            return ""
        known = path.with_name("allowed")
        known.write_text(allowed, encoding="utf-8")
        found = _ssh_keygen("-Y", "find-principals", "-s", str(path), "-f", str(known))
        name = found.stdout.decode("utf-8", "replace").split("\n")[0].strip()
        if found.returncode or not name:
            raise Refused("MB910", "none of the allowed signers has the key of this signature; ask the author for it.")
        done = _ssh_keygen("-Y", "verify", "-f", str(known), "-I", name, "-n", NAMESPACE, "-s", str(path),
                           given=manifest)  # fmt: skip
        if done.returncode:
            raise Refused("MB910", f"the signature of {name} is not valid ({_last_line(done)}).")
        return name


def one_line(signature: bytes) -> str:
    """Return a signature of ssh-keygen as a row of the ledger holds it: its base64 without head, tail and breaks.

    Raises:
        Refused: MB910 for what is none.
    """
    _check_form(signature)
    return signature.decode("ascii").removeprefix(_HEAD).removesuffix(_TAIL).replace("\n", "")


def why_not_by(data: bytes, line: str, name: str, allowed: str, *, namespace: str, date: str) -> str:
    """Say why a signature is not one of a name's on a day; "" where it is.

    Args:
        data: What was signed.
        line: The signature, as :func:`one_line` writes it.
        name: Of the signer.
        allowed: Lines of allowed signers, as ``man ssh-keygen`` describes them. A key with ``valid-before`` has signed
            what it had signed by then.
        namespace: What it is a signature of.
        date: ``2026-01-31``, the day on which it was signed.
    """
    signature = f"{_HEAD}{_in_lines(line)}{_TAIL}".encode()
    try:
        _check_form(signature)
    except Refused:
        return "has no signature in the form of ssh-keygen"
    with tempfile.TemporaryDirectory() as folder:
        path, known = Path(folder) / "row.sig", Path(folder) / "allowed"
        path.write_bytes(signature)
        known.write_text(allowed, encoding="utf-8")
        done = _ssh_keygen("-Y", "verify", "-f", str(known), "-I", name, "-n", namespace, "-s", str(path),
                           f"-Overify-time={date.replace('-', '')}", given=data)  # fmt: skip
    return f"is not signed by {name} ({_last_line(done)})" if done.returncode else ""


def principal(key: Path, allowed: str, *, namespace: str) -> str:
    """Return the name that allowed signers give the owner of a key; "" where they do not list it.

    Raises:
        UsageError: If the key cannot be used.
    """
    with tempfile.TemporaryDirectory() as folder:
        path, known = Path(folder) / "probe.sig", Path(folder) / "allowed"
        path.write_bytes(sign(b"probe", key, namespace=namespace))
        known.write_text(allowed, encoding="utf-8")
        done = _ssh_keygen("-Y", "find-principals", "-s", str(path), "-f", str(known))
    return "" if done.returncode else done.stdout.decode("utf-8", "replace").split("\n")[0].strip()


def _in_lines(line: str) -> str:
    return "\n".join(line[start : start + 70] for start in range(0, len(line), 70))


def _check_form(signature: bytes) -> None:
    """Accept the one form that ssh-keygen writes: base64 has others, which would make another file of the same."""
    try:
        text = signature.decode("ascii")
        inner = text.removeprefix(_HEAD).removesuffix(_TAIL)
        blob = base64.b64decode(inner.replace("\n", ""), validate=True)
    except (UnicodeDecodeError, binascii.Error, ValueError):
        raise Refused("MB910", "manifest.sig is no signature of ssh-keygen; sign the bundle again.") from None
    plain = base64.b64encode(blob).decode()
    if len(signature) > LARGEST or text != f"{_HEAD}{_in_lines(plain)}{_TAIL}":
        raise Refused("MB910", "manifest.sig has not the form that ssh-keygen writes; sign the bundle again.")


def _ssh_keygen(*arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    program = shutil.which("ssh-keygen")
    if program is None:
        raise ResourceError("ssh-keygen is not installed, and signatures need it; install OpenSSH.")
    try:
        return subprocess.run(  # noqa: S603  no shell, and nothing of a bundle is among the arguments
            [program, *arguments], input=given, capture_output=True, timeout=LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise ResourceError(f"ssh-keygen did not answer within {LIMIT_S} s; does the key want a passphrase?") from None


def _last_line(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
    return "".join(c for c in lines[-1] if c.isprintable())[:200] if lines else "no message"
