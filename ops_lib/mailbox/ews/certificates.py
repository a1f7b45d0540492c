"""A client secret, or a certificate with its key, as MSAL takes it."""

from __future__ import annotations

import re
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from ops_lib.errors import InputError

_KEY = re.compile(r"-----BEGIN ([A-Z ]*)PRIVATE KEY-----.*?-----END \1PRIVATE KEY-----", re.DOTALL)
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_FIX = (
    "give one PEM file (mode 0600) that holds the private key, not encrypted, and the certificate uploaded for the app."
)


def credential(secret: str) -> Any:
    """What an app proves itself with: the secret's value, or, of a PEM text, the key and the certificate it belongs to.

    **Raises** `InputError` for a PEM text that cannot be used, without showing any of it.
    """
    if "-----BEGIN" not in secret:
        return secret
    key, certificate = _KEY.search(secret), _CERTIFICATE.search(secret)
    fault = ""
    if key is None or certificate is None:
        fault = f"it holds no {'private key' if key is None else 'certificate'}"
    elif "ENCRYPTED" in key.group(0).partition("\n")[0]:
        fault = "its private key is encrypted"
    else:
        fault = _fault(key.group(0).encode(), certificate.group(0).encode())
    if fault or key is None or certificate is None:
        del secret, key, certificate
        raise InputError(f"the app's certificate cannot be used: {fault}", subject="client secret", fix=_FIX)
    return {"private_key": key.group(0), "public_certificate": certificate.group(0)}


def _fault(key: bytes, certificate: bytes) -> str:
    """Why a key and a certificate are no pair; empty where they are one."""
    try:
        private, public = load_pem_private_key(key, None), x509.load_pem_x509_certificate(certificate)
    except (ValueError, TypeError):
        return "the private key or the certificate is damaged"
    of_key = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    of_certificate = public.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return "" if of_key == of_certificate else "the private key is not the certificate's"
