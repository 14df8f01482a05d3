"""Get a certificate from a broker: the first one with a join token, later ones with the one before.

Rules of this file:
1. The token leaves this host only when the broker has proved that it belongs to the authority which
   the token names.
2. A key never leaves this host.
"""

import ssl
from pathlib import Path

from maelstrom.errors import MaelstromError, TrustError
from maelstrom.log import Log
from maelstrom.trust import build, tokens
from maelstrom.trust.holder import Holder
from maelstrom.trust.tls import Tls, context
from maelstrom.wire import messages
from maelstrom.wire.address import Address
from maelstrom.wire.connection import Codec
from maelstrom.wire.exchange import exchange
from maelstrom.wire.greeting import Role

_FROM_BROKER: Codec[messages.BrokerToJoin] = Codec(messages.BrokerToJoin)
_log = Log("joining")


def enrol(address: Address, directory: Path, token: str, name: str) -> None:
    """Have a certificate in the directory, if there is none yet; raises MaelstromError."""
    holder = Holder(directory)
    if holder.is_complete:
        return
    shown = tokens.parse(token)
    blind = context(ssl.PROTOCOL_TLS_CLIENT)
    blind.check_hostname = False
    blind.verify_mode = ssl.CERT_NONE
    with exchange(address, Role.JOIN, _FROM_BROKER, context=blind) as asked:
        authority = asked.ask(messages.AskAuthority(), messages.Authority).certificate
    if build.pin(build.from_pem(authority)) != shown.pin:
        raise TrustError(
            f"the broker at {address} belongs to another authority than the join token",
            hint="is the address right? somebody may be pretending to be the broker",
        )
    believing = context(ssl.PROTOCOL_TLS_CLIENT, authority=authority)
    with exchange(address, Role.JOIN, _FROM_BROKER, context=believing) as asked:
        request = holder.request(name)
        told = asked.ask(messages.Enrol(token.strip(), name, request), messages.Enrolled)
    holder.install(told.certificate, authority, told.revoked)
    _log.info("joined", identity=f"worker/{name}", broker=address)


def renew(address: Address, tls: Tls) -> None:
    """Have a newer certificate; raises MaelstromError."""
    holder = Holder(tls.directory)
    with exchange(address, Role.JOIN, _FROM_BROKER, tls=tls) as asked:
        request = holder.request(str(tls.certificate.identity))
        told = asked.ask(messages.Renew(request), messages.Enrolled)
    holder.install(told.certificate, tls.authority, told.revoked)
    tls.refresh()
    _log.info("certificate renewed", certificate=tls.certificate)


def renew_if_due(address: Address, tls: Tls) -> None:
    """Renew in time; what goes wrong is only logged, for there is time to try again."""
    try:
        if tls.is_due():
            renew(address, tls)
    except (TimeoutError, MaelstromError) as error:
        _log.warning("certificate not renewed", reason=error)
