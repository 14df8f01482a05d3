"""Keys, certificates, requests and revocation lists as values; no files, no clock."""

import ipaddress
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from maelstrom.errors import TrustError, UserError
from maelstrom.trust.identity import URI_PREFIX, Identity, Role

AUTHORITY_DAYS = 3650
BACKDATE = timedelta(minutes=10)
"""Hosts whose clocks are late by less than this accept a new certificate at once."""

UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion)
"""What the library raises for texts of others that it cannot read."""

Key = ec.EllipticCurvePrivateKey


def new_key() -> Key:
    """Return a key: the curve every TLS library has fast code for."""
    return ec.generate_private_key(ec.SECP256R1())


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def authority(name: str, now: datetime) -> tuple[Key, x509.Certificate]:
    """Return the key and the certificate of a new authority."""
    if not 1 <= len(name) <= 64:
        raise UserError("an authority's name has 1 to 64 characters")
    key = new_key()
    public = key.public_key()
    identifier = x509.SubjectKeyIdentifier.from_public_key(public)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(name))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(is_authority=True), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
    return key, certificate


def leaf(
    key: Key,
    issuer: x509.Certificate,
    public: ec.EllipticCurvePublicKey,
    identity: Identity,
    *,
    addresses: Sequence[str],
    begins: datetime,
    ends: datetime,
) -> x509.Certificate:
    """Return a certificate for one holder."""
    is_broker = identity.role is Role.BROKER
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if is_broker else ExtendedKeyUsageOID.CLIENT_AUTH
    names = [x509.UniformResourceIdentifier(identity.uri), *map(_address, addresses)]
    return (
        x509.CertificateBuilder()
        .subject_name(_name(str(identity)[:64]))
        .issuer_name(issuer.subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins - BACKDATE)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(is_authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(_authority_identifier(issuer), critical=False)
        .sign(key, hashes.SHA256())
    )


def _authority_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    found = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(found.value)


def _address(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        pass
    try:
        if not text or not text.isprintable() or any(c in text for c in " /:@"):
            raise ValueError("not a host")
        return x509.DNSName(text)
    except ValueError as error:
        raise UserError(
            f"`{text}` is neither a host's name nor an IP address", hint="write no port behind it"
        ) from error


def revocation_list(
    key: Key,
    issuer: x509.Certificate,
    revoked: Iterable[tuple[int, datetime]],
    now: datetime,
) -> bytes:
    """Return the signed list of serial numbers, as PEM."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.subject)
        .last_update(now)
        .next_update(now + timedelta(days=AUTHORITY_DAYS))
        .add_extension(_authority_identifier(issuer), critical=False)
        .add_extension(x509.CRLNumber(int(now.timestamp() * 1000)), critical=False)
    )
    for serial, moment in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(moment)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def read_revocation_list(content: bytes, issuer: x509.Certificate) -> frozenset[int]:
    """Return the serial numbers of a list; raises TrustError unless the authority signed it."""
    try:
        found = x509.load_pem_x509_crl(content)
        is_signed = found.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]  # Ours.
    except UNREADABLE as error:
        raise TrustError(f"a revocation list that cannot be read: {error}") from error
    if not is_signed:
        raise TrustError("a revocation list that the authority did not sign")
    return frozenset(entry.serial_number for entry in found)


def request(key: Key, name: str) -> bytes:
    """Return a request for a certificate, as PEM: proof that its sender has the key."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(_name(name[:64]))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def public_key(content: bytes) -> ec.EllipticCurvePublicKey:
    """Return the key of a request; raises TrustError unless its sender has proved to have it."""
    try:
        found = x509.load_pem_x509_csr(content)
        key = found.public_key()
        is_proved = isinstance(key, ec.EllipticCurvePublicKey) and found.is_signature_valid
    except UNREADABLE as error:
        raise TrustError(f"a request that cannot be read: {error}") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise TrustError("a request for a key of another kind than P-256")
    if not is_proved:
        raise TrustError("a request that is not signed with its own key")
    return key


def identity_of(certificate: x509.Certificate) -> Identity:
    """Return whom a certificate speaks for; raises TrustError."""
    names = _names(certificate).get_values_for_type(x509.UniformResourceIdentifier)
    ours = [name for name in names if name.startswith(URI_PREFIX)]
    if len(ours) != 1:
        raise TrustError("a certificate that does not say whose it is")
    return Identity.parse(ours[0].removeprefix(URI_PREFIX))


def addresses_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the hosts and IPs a certificate is for."""
    names = _names(certificate)
    found = names.get_values_for_type(x509.IPAddress)
    return (*names.get_values_for_type(x509.DNSName), *map(str, found))


def _names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound as error:
        raise TrustError("a certificate that does not say whose it is") from error


def check_signature(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    """Raise TrustError unless the authority issued the certificate."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (*UNREADABLE, InvalidSignature) as error:
        raise TrustError(
            f"certificate {certificate.serial_number:x} is of another authority than "
            f"`{_common_name(issuer)}`",
        ) from error


def _common_name(certificate: x509.Certificate) -> str:
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""


def to_pem(certificate: x509.Certificate) -> bytes:
    """Return a certificate as text."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def from_pem(content: bytes) -> x509.Certificate:
    """Return the first certificate of a text; raises TrustError."""
    try:
        return x509.load_pem_x509_certificate(content)
    except UNREADABLE as error:
        raise TrustError(f"a certificate that cannot be read: {error}") from error


def key_to_pem(key: Key, passphrase: bytes | None = None) -> bytes:
    """Return a private key as text, encrypted if there is a passphrase."""
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        encryption = serialization.BestAvailableEncryption(passphrase)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )


def is_encrypted(content: bytes) -> bool:
    """Whether a private key's text can only be read with a passphrase."""
    return b"-----BEGIN ENCRYPTED PRIVATE KEY-----" in content


def key_from_pem(content: bytes, passphrase: bytes | None = None) -> Key:
    """Return the private key of a text; raises TrustError."""
    try:
        key = serialization.load_pem_private_key(content, password=passphrase)
    except UNREADABLE as error:
        if passphrase is not None:
            raise TrustError("a key that this passphrase does not open") from error
        raise TrustError(f"a key that cannot be read: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TrustError("a key of another kind than P-256")
    return key


def pin(certificate: x509.Certificate) -> str:
    """Return what tells one authority from all others: the digest of its public key."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(
        certificate.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return digest.finalize().hex()
