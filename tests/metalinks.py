"""Metalinks for tests, of the shape that MirrorManager gives them (mirrors.centos.org); no line of them is theirs."""

import hashlib
from collections.abc import Iterable, Sequence
from xml.sax.saxutils import escape, quoteattr

Resource = tuple[str, str, str]


def metalink(resources: Iterable[Resource], newest: bytes, *alternates: bytes) -> bytes:
    """A metalink of repomd.xml: `resources` are protocol, preference and address of each."""
    urls = "".join(
        f"    <url protocol={quoteattr(protocol)} type={quoteattr(protocol)} location='DE' "
        f"preference={quoteattr(preference)}>{escape(url)}</url>\n"
        for protocol, preference, url in resources
    )
    older = "".join(
        f"   <mm0:alternate>\n{published(data, 1_600_000_000 - age)}   </mm0:alternate>\n"
        for age, data in enumerate(alternates, start=1)
    )
    return (
        "<?xml version='1.0' encoding='utf-8'?>\n"
        "<metalink version='3.0' xmlns='http://www.metalinker.org/' type='dynamic' "
        "pubdate='Sun, 13 Sep 2020 12:26:40 GMT' generator='practice' "
        "xmlns:mm0='http://fedorahosted.org/mirrormanager'>\n"
        " <files>\n  <file name='repomd.xml'>\n"
        f"{published(newest, 1_600_000_000)}"
        f"   <mm0:alternates>\n{older}   </mm0:alternates>\n"
        f"   <resources maxconnections='1'>\n{urls}   </resources>\n"
        "  </file>\n </files>\n</metalink>\n"
    ).encode()


def published(data: bytes, timestamp: int, algorithms: Sequence[str] = ("md5", "sha1", "sha256", "sha512")) -> str:
    """What a metalink says of one repomd.xml."""
    hashes = "".join(f"<hash type='{name}'>{hashlib.new(name, data).hexdigest()}</hash>" for name in algorithms)
    return (
        f"   <mm0:timestamp>{timestamp}</mm0:timestamp>\n   <size>{len(data)}</size>\n"
        f"   <verification>{hashes}</verification>\n"
    )
