"""Contents that once were good, and what happened to them since."""

from collections.abc import Sequence

from hypothesis import strategies as st


@st.composite
def damaged(draw: st.DrawFn, contents: Sequence[bytes]) -> bytes:
    """Return one of the contents with a few bytes changed, lost, repeated or added, or noise."""
    content = bytearray(draw(st.sampled_from([*contents, b""])))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(content)))
        length = draw(st.integers(0, 16))
        match draw(st.sampled_from(["set", "cut", "end", "again", "add"])):
            case "set":
                content[at : at + 1] = bytes([draw(st.integers(0, 255))])
            case "cut":
                del content[at : at + length]
            case "end":
                del content[at:]
            case "again":
                content[at:at] = content[max(0, at - length) : at]
            case "add":
                content[at:at] = draw(st.binary(max_size=16))
    return bytes(content)
