"""
What people write into an issue or a mail when they mean the agent that will read it: phrases, by name.

Law: every pattern is RE2's, so looking for it is linear in the text. They are looked for in a text that was folded: in
compatibility form (NFKC), without characters that cannot be seen. English only; a phrase in other words, or another
language, is not found.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

SEPARATOR = "\x1e"
"""What stands between two texts that are looked through as one; no phrase goes across it."""

MAX_FOLDED_CHARS = 4 * 1024 * 1024
"""How long a text may become by being folded: one character may stand for eighteen."""

_TELLING = r"(?:instructions?|prompts?|rules?|guidelines?|directions?|directives?|context|programming)"
_EARLIER = r"(?:previous|prior|above|earlier|preceding|foregoing|existing|all|any|every|your|system|original)"
_SECRETS = r"(?:secrets?|tokens?|api[ _-]?keys?|passwords?|credentials?|(?:private|ssh) keys?|\.env\b)"
_WORDS = r"(?:[^\s\x1e]+\s+){0,6}"

PHRASES: Mapping[str, str] = {
    "override": (
        r"\b(?:ignore|disregard|forget|override|bypass|discard)\s+(?:\w+\s+){0,3}"
        rf"{_EARLIER}\s+(?:\w+\s+){{0,3}}{_TELLING}\b"
    ),
    "role": (
        r"\byou\s+are\s+now\s+(?:a|an|the|in|my|no)\b|\bpretend\s+(?:to\s+be|that\s+you|you\s+are)\b"
        r"|\bfrom\s+now\s+on,?\s+you\b|\bact\s+as\s+if\s+you\b|\bnew\s+(?:system\s+)?instructions?\s*:"
        r"|\b(?:enter|enable|activate)\s+(?:\w+\s+)?(?:developer|dan|god|jailbreak)\s+mode\b"
    ),
    "reveal": (
        r"\b(?:reveal|show|print|repeat|output|display|leak|tell\s+me|give\s+me)\s+(?:\w+\s+){0,3}"
        r"(?:system|hidden|initial|original|secret)\s+(?:prompt|instructions?|message)\b"
    ),
    "markup": (
        r"<\|(?:im_start|im_end|system|user|assistant|endoftext|eot_id|start_header_id)\|>|\[/?INST\]|<</?SYS>>"
        r"|</?(?:system|system[_-]?prompt|system[_-]?reminder|instructions?|assistant)>"
        r"|(?:^|\n)[ \t]{0,3}#{1,4}[ \t]*(?:system|new\s+instructions?)[ \t]*:?[ \t]*(?:\n|$)"
    ),
    "exfiltration": (
        r"\b(?:send|post|upload|exfiltrate|e-?mail|leak|forward|transmit|paste)\s+"
        rf"{_WORDS}{_SECRETS}\s+{_WORDS}(?:to|at|into|via)\b"
        r"|\bcurl\s[^\n\x1e]{0,200}(?:\$\{?[A-Z_]{0,40}(?:TOKEN|SECRET|KEY|PASSWORD)|\.env\b|id_rsa)"
    ),
}
"""By the name that a config has for them; ``hidden`` is the other one."""

HIDDEN = "hidden"
"""Text that people do not see and machines read: letters of the tag block, and what turns the writing around."""

# A flag of a region is up to seven of them behind a black flag; a sentence is more.
HIDDEN_PATTERN = r"[\x{E0020}-\x{E007E}]{8}|[\x{202D}\x{202E}]"

NAMES = (*PHRASES, HIDDEN)


_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1d\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff]+"
)
_PIECE_CHARS = 65536


def folded(text: str) -> str | None:
    """A text without disguise: compatible characters as one, those that cannot be seen gone. None if it is too long."""
    text = _UNSEEN.sub("", text)
    if text.isascii():
        return text
    pieces, chars = [], 0
    for at in range(0, len(text), _PIECE_CHARS):
        pieces.append(unicodedata.normalize("NFKC", text[at : at + _PIECE_CHARS]))
        chars += len(pieces[-1])
        if chars > MAX_FOLDED_CHARS:
            return None
    return "".join(pieces)
