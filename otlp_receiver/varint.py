"""Base-128 varints, as the few protobuf messages need that are written without the library."""


def varint(number: int) -> bytes:
    """Encode a number that is not negative (protobuf encoding, "Base 128 Varints")."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
