#!/usr/bin/python3
"""Open a dbacked backup file without dbacked.

    open-backup.py [--passphrase-file FILE] PRIVATE_KEY.pem [BACKUP_FILE] > dump.zst

Reads BACKUP_FILE (or standard input), decrypts it with the private key and
writes what is inside to standard output: the database's dump, compressed (zstd
or gzip). It needs Python 3 and Debian's python3-cryptography, nothing else.

The exit status is 0 only if the file is whole. After any other, what was written
is only the start of a dump: do not use it.
"""
import argparse
import getpass
import sys

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, padding as block_padding
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_pem_private_key

CHUNK, TAG = 1 << 20, 16


class Bad(Exception):
    """What is wrong with the file, the key or the passphrase."""


def load_key(path, passphrase_file):
    with open(path, "rb") as f:
        pem = f.read()
    secret = None
    if b"ENCRYPTED" in pem:
        if passphrase_file:
            with open(passphrase_file, "rb") as f:
                secret = f.read().rstrip(b"\r\n")
        else:  # asked on the terminal, even if standard input is the backup
            secret = getpass.getpass(f"Passphrase of {path}: ").encode()
    try:
        key = load_pem_private_key(pem, secret)
    except (ValueError, TypeError) as e:
        raise Bad(f"wrong passphrase, or not a private key: {path}: {e}") from e
    if not isinstance(key, rsa.RSAPrivateKey):
        raise Bad(f"not an RSA key: {path}")
    return key


def read_header(f):
    """Return the whole header, the format's major version and the wrapped keys."""
    head = f.read(14)
    if len(head) < 14:
        raise Bad("truncated: no whole header")
    if head[:7] != b"DBACKED":
        raise Bad("not a dbacked file")
    if head[7] not in (0, 1):
        raise Bad(f"unsupported version {head[7]}")
    length = int.from_bytes(head[10:14], "little")
    if not 1 <= length <= 16384:
        raise Bad(f"damaged: a key field of {length} bytes")
    rest = f.read(length + 16)
    if len(rest) < length + 16:
        raise Bad("truncated: no whole header")
    return head + rest, head[7], rest[:length]


def unwrap(key, wrapped, digest):
    """Return the file's AES key: the first slice that the private key opens."""
    size = (key.key_size + 7) // 8
    oaep = padding.OAEP(padding.MGF1(digest), digest, None)
    slices = range(0, len(wrapped), size) if len(wrapped) % size == 0 else ()
    for at in slices:
        try:
            found = key.decrypt(wrapped[at:at + size], oaep)
        except ValueError:
            continue  # wrapped for somebody else
        if len(found) == 32:
            return found
    raise Bad("wrong private key: the file was made for another one")


def blocks(f, size):
    """Yield (block, whether it is the last), reading one byte ahead."""
    data = f.read(size + 1)
    while len(data) > size:
        yield data[:size], False
        data = data[size:] + f.read(size)
    yield data, True


def open_v1(f, header, file_key, out):
    """Chunks of AES-256-GCM. Nothing is written before it has authenticated."""
    gcm, iv = AESGCM(file_key), header[-16:]

    def open_chunk(sealed, index, last):
        nonce = iv[:7] + index.to_bytes(4, "big") + bytes([last])
        try:
            return gcm.decrypt(nonce, sealed, header)
        except InvalidTag:
            return None

    for index, (sealed, last) in enumerate(blocks(f, CHUNK + TAG)):
        if len(sealed) < TAG:
            raise Bad(f"truncated: chunk {index} is missing")
        if index > 2**32 - 2:
            raise Bad("damaged: too many chunks")
        plain = open_chunk(sealed, index, last)
        if plain is None:
            if last and len(sealed) == CHUNK + TAG and open_chunk(sealed, index, False) is not None:
                raise Bad(f"truncated: the file ends after chunk {index}, which is not the last")
            raise Bad(f"damaged: chunk {index} does not authenticate")
        if last and index > 0 and not plain:
            raise Bad("damaged: an empty last chunk")
        out.write(plain)


def open_legacy(f, header, file_key, out):
    """AES-256-CBC: not authenticated, so damage shows only by luck."""
    print("warning: a legacy file is not authenticated: it may have been changed", file=sys.stderr)
    cipher = Cipher(algorithms.AES(file_key), modes.CBC(header[-16:])).decryptor()
    unpad = block_padding.PKCS7(128).unpadder()
    for data, last in blocks(f, CHUNK):
        if not data or len(data) % 16:
            raise Bad("truncated: the file ends inside a block of the cipher")
        out.write(unpad.update(cipher.update(data)))
        if last:
            try:
                out.write(unpad.finalize())
            except ValueError:
                raise Bad("damaged: wrong padding at the end") from None


def main():
    parser = argparse.ArgumentParser(description="Open a dbacked backup file; the compressed dump goes to standard output.")
    parser.add_argument("--passphrase-file", metavar="FILE", help="holds the private key's passphrase; else it is asked")
    parser.add_argument("key", metavar="PRIVATE_KEY.pem")
    parser.add_argument("file", metavar="BACKUP_FILE", nargs="?", help="standard input if left out")
    args = parser.parse_args()
    try:
        key = load_key(args.key, args.passphrase_file)
        with open(args.file, "rb") if args.file else sys.stdin.buffer as f:
            header, major, wrapped = read_header(f)
            digest = hashes.SHA256() if major == 1 else hashes.SHA1()
            opener = open_v1 if major == 1 else open_legacy
            opener(f, header, unwrap(key, wrapped, digest), sys.stdout.buffer)
        sys.stdout.buffer.flush()
    except (Bad, OSError) as e:
        sys.exit(f"open-backup: {e}")  # exit status 1


if __name__ == "__main__":
    main()
