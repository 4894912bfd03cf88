"""Addresses that would lead people off this site if anybody followed them: every known trick, combined."""

from itertools import product
from typing import Final

ELSEWHERE: Final = "evil.example"
OURS: Final = "http://localhost:3000"
ALLOWED: Final = "https://app.example.com"
"""An origin besides ours that an operator has allowed."""

_SLASHES: Final = (
    "/",
    "\\",
    "%2f",
    "%2F",
    "%5c",
    "%252f",
    "%c0%af",
    "/\t",
    "\u2215",
    "\uff0f",
)
_SCHEMES: Final = (
    "javascript:alert(1)",
    "javascript://localhost:3000/%0aalert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:msgbox(1)",
    "file:///etc/passwd",
    "ftp://app.example.com/",
    "ws://localhost:3000/",
    "wss://app.example.com/",
    "blob:http://localhost:3000/x",
    "view-source:http://localhost:3000/",
    "about:blank",
    "mailto:a@app.example.com",
    "intent://app.example.com/#Intent;scheme=https;end",
    "filesystem:https://app.example.com/temporary/x",
    "jar:https://app.example.com!/x",
)
_LOCAL: Final = (
    "127.0.0.1",
    "127.1",
    "0",
    "0.0.0.0",
    "0x7f000001",
    "2130706433",
    "017700000001",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[0:0:0:0:0:0:0:1]",
    "localhost.",
    "localhost.localdomain",
    "localhost.evil.example",
    "xn--localhost-",
    "ｌocalhost",
    "loc\u00adalhost",
    "localho\u017ft",
)
# What may stand between a host that is ours and one that is not, so that the eye sees the wrong one.
_JOINTS: Final = (
    *("@", ":@", ":x@", "%40", "%2f@", "%5c@", "\\@", "#@", "?@", ";@", "&@", ",@"),
    *(".", "。", "%2e", "-", "_", "\t.", "\n.", "\x00.", "%00.", "%09.", "%20.", " .", "\u200b."),
)
_CONTROLS: Final = (*map(chr, range(0x21)), "\x7f")
_UNSEEN: Final = (
    *("\x80", "\x85", "\xa0", "\xad", "\u180e", "\u200b", "\u200e", "\u2028", "\u2029", "\u202e"),
    *("\u2060", "\u3000", "\ufeff", "\ue000", "\ufffe", "\U000e0001"),
)


def _all() -> list[str]:
    urls = [
        "",
        "settings/billing",
        "?next=/",
        "#top",
        ".",
        "..",
        "https:",
        "https:/",
        "https://",
        "https:///app.example.com/",
        "https:app.example.com",
        "https:/app.example.com",
        "https:\\\\app.example.com/",
        "https;//app.example.com",
        "http://localhost:99999/",
        "http://localhost:-1/",
        "http://localhost:３０００/",
        "http://localhost:0/",
        "http://localhost:3001/",
        "http://localhost/",
        "https://localhost:3000/",
        "http://app.example.com/",
        "https://app.example.com:8443/",
        "https://APP.EXAMPLE.COM.evil.example/",
        "https://evilapp.example.com/",
        "https://example.com/",
        "https://sub.app.example.com/",
        "https://app.example.com./",
        "https://аpp.example.com/",
        "https://xn--pp-6kc.example.com/",
        "https://app。example。com/",
        "https://ａpp.example.com/",
        "https://app.example.com/%5c",
        "https://app.example.com/x?y=%5c",
        "https://app.example.com//evil.example",
        "https://app.example.com/%2f%2fevil.example",
        "https://app.example.com/..%2f..//evil.example",
        "https://app.example.com/%0d%0aSet-Cookie:%20x=1",
        "/%0d%0aLocation:%20https://evil.example",
        "/\r\nLocation: https://evil.example",
        "/%2525252525252fevil.example",
        "/%ff",
        "/.//evil.example",
        "/x/..//evil.example",
        "/./%5cevil.example",
        "/%e2%80%ae",
        "/é",
        f"{OURS}@{ELSEWHERE}/",
        f"{OURS}%40{ELSEWHERE}/",
    ]
    urls += [f"{one}{two}{ELSEWHERE}/" for one, two in product(_SLASHES, _SLASHES)]
    urls += [f"/settings{one}{two}{ELSEWHERE}" for one, two in product(_SLASHES[:5], _SLASHES[:5])]
    urls += [
        spelling(url) for url in _SCHEMES for spelling in (str, str.swapcase, _with_tab, _padded)
    ]
    urls += [f"http://{host}:3000/" for host in _LOCAL]
    for joint, ours in product(_JOINTS, (OURS, ALLOWED)):
        urls += [
            f"{ours}{joint}{ELSEWHERE}/",
            f"https://{ELSEWHERE}{joint}{ours.partition('//')[2]}/",
        ]
    for letter in (*_CONTROLS, *_UNSEEN):
        urls += [
            f"{letter}/",
            f"/{letter}/{ELSEWHERE}",
            f"{ALLOWED}{letter}/",
            f"htt{letter}ps://{ELSEWHERE}",
        ]
    urls += [f"/%{ord(letter):02x}/{ELSEWHERE}" for letter in _CONTROLS if letter != " "]
    return [url for url in dict.fromkeys(urls) if url not in _HARMLESS]


def _with_tab(url: str) -> str:
    return f"{url[:2]}\t{url[2:]}"


def _padded(url: str) -> str:
    return f"\x01 {url}"


# What the combining makes besides: paths and queries of an address that is allowed.
_HARMLESS: Final = frozenset({f"{ALLOWED}?@{ELSEWHERE}/", f"{ALLOWED}#@{ELSEWHERE}/"}) | {
    f"{OURS}?@{ELSEWHERE}/",
    f"{OURS}#@{ELSEWHERE}/",
}

HOSTILE_URLS: Final = _all()
