"""One HTTP request and its reply as bytes, with what can go wrong told apart: broken (try again) or refused (do not).

Redirects are followed here, since the library would follow one from https to http. Bytes are taken as they are sent:
a mirror that labels a .gz file as "Content-Encoding: gzip" must not have it unpacked on the way.
"""

import os
import re
import ssl
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from isobuilder.errors import FetchError, HostError
from isobuilder.fetch.credentials import VARIABLE, credentials, origin
from isobuilder.fetch.transfer import BrokenTransferError, Patience, RefusedError, Reply, shown
from isobuilder.fetch.watch import Watch, WatchedAdapter

_CHUNK: Final = 1 << 20
_MAX_REDIRECTS: Final = 10
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_TRY_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_NO_HEAD: Final = frozenset({405, 501})
_WHO_ARE_YOU: Final = frozenset({401, 407})
_NETRC: Final = (
    f"Names and passwords for servers are taken from {VARIABLE}, and from ~/.netrc, or the file that NETRC names."
)
_AUTHORITIES: Final = "REQUESTS_CA_BUNDLE (else CURL_CA_BUNDLE, else SSL_CERT_FILE)"
_LONGEST_ADVICE: Final = 60.0


class HttpTransfers:
    """Requests of one thread, over connections that are kept until `close`; `clock` counts seconds.

    Proxies come from the environment, and the bundle of certificate authorities too: the first that is set of
    REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE and SSL_CERT_FILE. Names and passwords come from ISOBUILDER_CREDENTIALS, else
    from ~/.netrc, for the server that they are for and no other.
    """

    def __init__(self, *, patience: Patience, clock: Callable[[], float]) -> None:
        self._patience = patience
        self._clock = clock
        self._watch = Watch(patience.silence)
        self._session = _Session()
        self._credentials = credentials(os.environ)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, WatchedAdapter(self._watch))

    def close(self) -> None:
        self._watch.close()
        self._session.close()

    @contextmanager
    def get(self, url: str, start: int = 0) -> Iterator[Reply]:
        """Ask for `url` from the byte `start` on; the server may send all of it nevertheless.

        Raises BrokenTransferError, RefusedError (a FetchError), or HostError for a CA bundle that is not there.
        """
        with _translated(url):
            response = self._follow("GET", url, {"Range": f"bytes={start}-"} if start else {})
        with response:
            yield self._reply(response, url, expected={200, 206, 416} if start else {200})

    def size(self, url: str) -> int | None:
        """How many bytes the file has, or None where the server does not say. Raises as `get`."""
        with _translated(url):
            response = self._follow("HEAD", url, {})
        with response:
            # Nothing follows, but the library would close the connection because nobody has read it.
            response.raw.release_conn()
            if response.status_code not in _NO_HEAD:
                total = self._reply(response, url, expected={200}).total
                if total is not None:
                    return total
        # Some servers do not answer HEAD, or say there less than for a part of the file, which we do not read.
        with self.get(url, 1) as reply:
            return reply.total

    def _follow(self, method: str, url: str, headers: dict[str, str]) -> requests.Response:
        here = url
        for _ in range(_MAX_REDIRECTS + 1):
            self._watch.answer_on(None)
            with self._watch.waiting():
                response = self._session.request(
                    method,
                    here,
                    headers={"Accept-Encoding": "identity", "User-Agent": "isobuilder", **headers},
                    stream=True,
                    allow_redirects=False,
                    auth=self._credentials.get(asked) if (asked := origin(here)) else None,
                    timeout=(self._patience.connect, self._patience.silence),
                )
                if response.status_code not in _REDIRECTS or "Location" not in response.headers:
                    return response
                self._leave(response)
            there = urljoin(here, response.headers["Location"])
            allowed = {"https"} if urlsplit(here).scheme == "https" else {"http", "https"}
            if urlsplit(there).scheme not in allowed:
                raise FetchError(f"{shown(url)}: is redirected to {shown(there)}, which is not as safe")
            here = there
        raise FetchError(f"{shown(url)}: more than {_MAX_REDIRECTS} redirects")

    def _leave(self, response: requests.Response) -> None:
        """Be done with a redirect; a short one is read, so that its connection can be used again."""
        length = response.headers.get("Content-Length", "")
        if re.fullmatch(r"[0-9]{1,5}", length):
            response.raw.drain_conn()
        response.close()

    def _reply(self, response: requests.Response, url: str, expected: AbstractSet[int]) -> Reply:
        status = response.status_code
        if status in _TRY_AGAIN:
            raise BrokenTransferError(f"the server answers {status} {response.reason}", _advice(response))
        if status not in expected:
            hint = _NETRC if status in _WHO_ARE_YOU else ""
            raise RefusedError(f"{shown(url)}: the server answers {status} {response.reason}", status, hint)
        first, total = _extent(response)
        encoding = response.headers.get("Content-Encoding", "identity").lower()
        return Reply(status, first, total, encoding, self._chunks(response, url))

    def _chunks(self, response: requests.Response, url: str) -> Iterator[bytes]:
        """The body as it arrives, watched: a read that waits for a whole chunk could be held for ever by a drip."""
        since, seen = self._clock(), 0
        while True:
            with _translated(url), self._watch.waiting():
                chunk = response.raw.read1(_CHUNK, decode_content=False)
            if not chunk:
                return
            yield chunk
            seen += len(chunk)
            now = self._clock()
            if now - since >= self._patience.silence:
                if seen < self._patience.slow_bytes:
                    raise BrokenTransferError(f"only {seen} bytes came in {now - since:.0f} seconds")
                since, seen = now, 0


class _Session(requests.Session):
    """Redirects are ours to follow: the library, told not to, still reads all that a redirect has for a body."""

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002
        return None

    def merge_environment_settings(self, *arguments: Any, **named: Any) -> Any:
        """The library's, which knows its own and curl's variable for authorities, and OpenSSL's after these."""
        settings = super().merge_environment_settings(*arguments, **named)
        if settings["verify"] is True and (bundle := os.environ.get("SSL_CERT_FILE")):
            settings["verify"] = bundle
        return settings


def _extent(response: requests.Response) -> tuple[int | None, int | None]:
    if response.status_code == 200:
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if re.fullmatch(r"[0-9]{1,18}", length) else None
    said = response.headers.get("Content-Range", "")
    if response.status_code == 206:
        found = re.fullmatch(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)", said)
        if not found:
            return None, None
        return int(found[1]), None if found[2] == "*" else int(found[2])
    return 0, None


def _advice(response: requests.Response) -> float:
    """Seconds that the server asks us to wait, as far as we follow; the form with a date is not used by mirrors."""
    said = response.headers.get("Retry-After", "")
    return min(float(said), _LONGEST_ADVICE) if re.fullmatch(r"[0-9]{1,9}", said) else 0.0


@contextmanager
def _translated(url: str) -> Iterator[None]:
    try:
        yield
    except requests.exceptions.SSLError as error:
        if not isinstance(_root(error), ssl.SSLCertVerificationError):
            raise BrokenTransferError(str(_root(error))) from error
        raise FetchError(f"{shown(url)}: the server is not trusted: {_root(error)}", hint=_distrust(error)) from error
    except requests.exceptions.InvalidHeader as error:
        raise BrokenTransferError(str(error)) from error
    except requests.exceptions.ProxyError as error:
        raise BrokenTransferError(f"the proxy of the environment (http_proxy, https_proxy): {_root(error)}") from error
    except ValueError as error:
        # requests' InvalidURL and its like, and what urllib says of a redirect to nonsense.
        raise FetchError(f"{shown(url)}: not an address that can be fetched: {error}") from error
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        root = _root(error)
        raise BrokenTransferError(
            root.strerror if isinstance(root, OSError) and root.strerror else str(root)
        ) from error
    except OSError as error:
        # requests says so when the bundle is missing, before any connection.
        raise HostError(f"{shown(url)}: {error}", hint=f"{_AUTHORITIES} must name a file that exists.") from error


def _distrust(error: BaseException) -> str:
    """What to do about a certificate that did not pass. OpenSSL's X509_V_ERR_CERT_* have these numbers."""
    if getattr(_root(error), "verify_code", 0) in {9, 10}:
        return "Is the clock of this machine right? Otherwise the certificate is out of date: use another mirror."
    return f"A site's own certificate authority is named by {_AUTHORITIES}, the path of a PEM file."


def _root(error: BaseException) -> BaseException:
    """The cause, out of the layers of exceptions that the libraries wrap it in."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return error
