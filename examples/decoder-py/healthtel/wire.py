# SPDX-License-Identifier: Apache-2.0
"""Bytes, varints and protobuf messages. Nothing that is read here is trusted."""


class DecodeError(ValueError):
    """What was wrong with a message. `kind` is one of the words in docs/FORMAT.md's table of
    errors: format, too_large, crc, unsupported, schema, version."""

    def __init__(self, kind, why):
        super().__init__(why)
        self.kind = kind


def bad(why):
    return DecodeError("format", why)


class Cursor:
    """Goes through bytes from the front. Reading past the end raises."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def left(self):
        return len(self.data) - self.at

    def byte(self):
        if self.at >= len(self.data):
            raise bad("cut short")
        self.at += 1
        return self.data[self.at - 1]

    def take(self, count):
        if count > self.left():
            raise bad("cut short")
        self.at += count
        return self.data[self.at - count : self.at]

    def varint(self, bits=64):
        value = 0
        for shift in range(0, 70, 7):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if value >> bits:
                    break
                return value
        raise bad("a number is larger than it may be")

    def signed(self, bits=64):
        return unzigzag(self.varint(bits))


def unzigzag(code):
    return (code >> 1) ^ -(code & 1)


def int32(value):
    """Modulo 2^32, as a signed number."""
    return (value + 0x80000000 & 0xFFFFFFFF) - 0x80000000


# ---- Protobuf --------------------------------------------------------------------------------

WIRE_VARINT, WIRE_64, WIRE_BYTES, WIRE_32 = 0, 1, 2, 5


def unsigned(bits):
    def make(value):
        if value >> bits:
            raise bad(f"a number over {bits} bits")
        return value
    return make


def zigzag(bits):
    return lambda value: unzigzag(unsigned(bits)(value))


def text(chars_max):
    def make(value):
        if len(value) > chars_max:
            raise DecodeError("too_large", f"a text of more than {chars_max} characters")
        if any(byte < 0x20 or byte > 0x7E for byte in value):
            raise bad("a character that is not printable ASCII")
        return value.decode("ascii")
    return make


# Of each type the wire type, what makes a value of what the wire has, and what it is when absent.
TYPES = {
    "uint8": (WIRE_VARINT, unsigned(8), 0),
    "uint32": (WIRE_VARINT, unsigned(32), 0),
    "uint64": (WIRE_VARINT, unsigned(64), 0),
    "sint32": (WIRE_VARINT, zigzag(32), 0),
    "sint64": (WIRE_VARINT, zigzag(64), 0),
    "bool": (WIRE_VARINT, lambda value: unsigned(32)(value) != 0, False),
    "fixed32": (WIRE_32, unsigned(32), 0),
    "bytes": (WIRE_BYTES, bytes, b""),
    "text15": (WIRE_BYTES, text(15), ""),
    "text31": (WIRE_BYTES, text(31), ""),
}


def fields(data):
    """(field number, wire type, value) of each field of a message; a value is an int or bytes."""
    cursor = Cursor(data)
    while cursor.left() > 0:
        tag = cursor.varint(32)
        number, wire = tag >> 3, tag & 7
        if number == 0:
            raise bad("a field with number 0")
        if wire == WIRE_VARINT:
            value = cursor.varint()
        elif wire == WIRE_BYTES:
            value = cursor.take(cursor.varint())
        elif wire in (WIRE_64, WIRE_32):
            value = int.from_bytes(cursor.take(8 if wire == WIRE_64 else 4), "little")
        else:
            raise bad("a field of a wire type that does not exist")
        yield number, wire, value


def message(data, table):
    """Reads a message by a table: number -> (name, type, how often at most). What occurs more than
    once becomes a list. Fields that the table does not have are stepped over."""
    result = {name: [] if most > 1 else TYPES[kind][2] for name, kind, most in table.values()}
    for number, wire, value in fields(data):
        if number not in table:
            continue
        name, kind, most = table[number]
        expected, make, _ = TYPES[kind]
        if wire != expected:
            raise bad(f"{name} is of another wire type")
        value = make(value)
        if most == 1:
            result[name] = value
        elif len(result[name]) == most:
            raise DecodeError("too_large", f"more than {most} {name}")
        else:
            result[name].append(value)
    return result
