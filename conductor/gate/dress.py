"""How an answer's body goes on to the agent: as it is, unless its end would not be seen."""

from __future__ import annotations

from enum import Enum

from conductor.gate.framing import Framing
from conductor.gate.heads import AnswerHead, RequestHead, end_to_end, render, values


class Dress(Enum):
    AS_IT_IS = "as it is"
    CHUNKED = "chunked"
    """The provider ends it with its connection; the agent's goes on."""
    BARE = "bare"
    """It ends with the agent's connection: HTTP/1.0 knows no chunks."""

    @property
    def tells_its_end(self) -> bool:
        return self is not Dress.BARE


def dress_for(asked: RequestHead, answer: AnswerHead, framing: Framing) -> Dress:
    if framing.ends_at_close:
        return Dress.CHUNKED if asked.minor else Dress.BARE
    return Dress.BARE if values(answer.headers, "transfer-encoding") and not asked.minor else Dress.AS_IT_IS


def dressed_head(answer: AnswerHead, dress: Dress, *, keeps: bool) -> bytes:
    """`keeps`: the agent's connection goes on after this answer."""
    headers = list(end_to_end(answer.headers, without=() if dress is Dress.AS_IT_IS else ("transfer-encoding",)))
    if dress is Dress.CHUNKED:
        headers.append(("transfer-encoding", "chunked"))
    if not keeps:
        headers.append(("connection", "close"))
    return render(f"HTTP/1.1 {answer.status} {answer.reason}", headers)


def dressed_body(raw: bytes, pieces: list[bytes], dress: Dress) -> bytes:
    """`raw` as it came, `pieces`: the content in it."""
    if dress is Dress.AS_IT_IS:
        return raw
    content = b"".join(pieces)
    return b"%x\r\n%b\r\n" % (len(content), content) if dress is Dress.CHUNKED and content else content
