"""Vectors of LLVM with Python's operators, for code that numba's loops cannot express.

An intrinsic is a function that writes LLVM code. With `Lanes` it reads like the formula
that it computes: `(u > limit).pick(u - 2 * limit, u)`. Vectors are as long as the
caller wants; LLVM cuts them into what the machine at hand has, AVX-512, AVX2 or NEON.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from llvmlite import ir
from numba.core import cgutils

BIT = ir.IntType(1)


class Lanes:
    """A vector of integers or floats while code is written, or of bits.

    Operators are those of numpy: `>>` floors, comparisons are signed, and false of what
    is no number. A Python number on the right stands for a vector of it, and a vector
    of one lane for one of as many as the other has. Each operation rounds: a product
    and a sum are not made one.
    """

    def __init__(self, builder: Any, value: Any) -> None:
        """Take what an LLVM builder has made."""
        self.builder, self.value = builder, value

    @property
    def real(self) -> bool:
        """Whether the lanes are floats."""
        return isinstance(self.value.type.element, ir.FloatType | ir.DoubleType)

    def __add__(self, other: Any) -> Lanes:
        return self._binary("add", other)

    def __sub__(self, other: Any) -> Lanes:
        return self._binary("sub", other)

    def __rsub__(self, other: Any) -> Lanes:
        return self._like(other) - self

    def __mul__(self, other: Any) -> Lanes:
        return self._binary("mul", other)

    def __and__(self, other: Any) -> Lanes:
        return self._binary("and_", other)

    def __or__(self, other: Any) -> Lanes:
        return self._binary("or_", other)

    def __xor__(self, other: Any) -> Lanes:
        return self._binary("xor", other)

    def __truediv__(self, other: Any) -> Lanes:
        return self._binary("div", other)

    def __lshift__(self, other: Any) -> Lanes:
        return self._binary("shl", other)

    def __rshift__(self, other: Any) -> Lanes:
        return self._binary("ashr", other)

    def __gt__(self, other: Any) -> Lanes:
        return self._compare(">", other)

    def __lt__(self, other: Any) -> Lanes:
        return self._compare("<", other)

    def __le__(self, other: Any) -> Lanes:
        return self._compare("<=", other)

    def differs(self, other: Any) -> Lanes:
        """Return where two vectors are not equal."""
        return self._compare("!=", other)

    def unsigned_shift(self, places: int) -> Lanes:
        """Return each lane shifted right, zeros moving in."""
        return self._binary("lshr", places)

    def pick(self, yes: Any, no: Any) -> Lanes:
        """Return, of bits, the lanes of one vector or else of the other."""
        # a number takes the type of the other
        like = yes if isinstance(yes, Lanes) else no
        args = [like._like(choice).value for choice in (yes, no)]
        return Lanes(self.builder, self.builder.select(self.value, *args))

    def at_least(self, limit: Any) -> Lanes:
        """Return the larger of two vectors."""
        return (self < limit).pick(limit, self)

    def at_most(self, limit: Any) -> Lanes:
        """Return the smaller of two vectors."""
        return (self > limit).pick(limit, self)

    def signed(self, number: Any) -> Lanes:
        """Return the lanes as other numbers; floats are cut, integers keep a sign."""
        return self._converted(number, "sext", "sitofp")

    def unsigned(self, number: Any) -> Lanes:
        """Return the lanes as other numbers; integers have no sign."""
        return self._converted(number, "zext", "uitofp")

    def root(self) -> Lanes:
        """Return the square root of floats."""
        return self._called("llvm.sqrt")

    def size(self) -> Lanes:
        """Return the absolute value of floats."""
        return self._called("llvm.fabs")

    def bits(self, kind: Any) -> Any:
        """Return the bits of the whole vector as a number or a vector of LLVM."""
        return self.builder.bitcast(self.value, kind)

    def shuffled(self, other: Lanes, places: list[int]) -> Lanes:
        """Return lanes of two vectors, numbered through, in another order."""
        kind = ir.VectorType(ir.IntType(32), len(places))
        mask = ir.Constant(kind, places)
        return Lanes(
            self.builder, self.builder.shuffle_vector(self.value, other.value, mask)
        )

    def followed_by(self, other: Lanes) -> Lanes:
        """Return the lanes of this vector, and then those of another."""
        return self.shuffled(other, [*range(2 * self.value.type.count)])

    def part(self, first: int, count: int) -> Lanes:
        """Return some neighbouring lanes."""
        return self.shuffled(self, [*range(first, first + count)])

    def _binary(self, operation: str, other: Any) -> Lanes:
        write = getattr(self.builder, ("f" if self.real else "") + operation)
        right = self._like(other)
        return Lanes(self.builder, write(right._like(self).value, right.value))

    def _compare(self, relation: str, other: Any) -> Lanes:
        if not self.real:
            write = self.builder.icmp_signed
        elif relation == "!=":
            write = self.builder.fcmp_unordered
        else:
            write = self.builder.fcmp_ordered
        return Lanes(self.builder, write(relation, self.value, self._like(other).value))

    def _called(self, name: str) -> Lanes:
        kind = self.value.type
        double = isinstance(kind.element, ir.DoubleType)
        full = f"{name}.v{kind.count}f{64 if double else 32}"
        function = cgutils.get_or_insert_function(
            self.builder.module, ir.FunctionType(kind, [kind]), full
        )
        return Lanes(self.builder, self.builder.call(function, [self.value]))

    def _like(self, other: Any) -> Lanes:
        kind = self.value.type
        if isinstance(other, Lanes):
            alone = other.value.type.count == 1 and kind.count > 1
            return other.shuffled(other, [0] * kind.count) if alone else other
        return Lanes(self.builder, ir.Constant(kind, [other] * kind.count))

    def _converted(self, number: Any, extend: str, to_float: str) -> Lanes:
        builder, kind = self.builder, self.value.type
        target = ir.VectorType(number, kind.count)
        if self.real and not isinstance(number, ir.IntType):
            if number == kind.element:
                return self
            wider = isinstance(number, ir.DoubleType)
            write = builder.fpext if wider else builder.fptrunc
            return Lanes(builder, write(self.value, target))
        if self.real:
            return Lanes(builder, builder.fptosi(self.value, target))
        if not isinstance(number, ir.IntType):
            return Lanes(builder, getattr(builder, to_float)(self.value, target))
        if number.width == kind.element.width:
            return self
        wider = number.width > kind.element.width
        write = getattr(builder, extend) if wider else builder.trunc
        return Lanes(builder, write(self.value, target))


class Memory(NamedTuple):
    """A contiguous array while code is written."""

    builder: Any
    pointer: Any
    """To its first element."""

    def lanes(self, place: Any, kind: Any) -> Lanes:
        """Return the vector that begins at an element."""
        value = self.builder.load(self._at(place, kind))
        # numpy aligns to an element, not to a vector
        value.align = 1
        return Lanes(self.builder, value)

    def store(self, place: Any, lanes: Lanes) -> None:
        """Write a vector from an element on."""
        at = self._at(place, lanes.value.type)
        self.builder.store(lanes.value, at).align = 1

    def _at(self, place: Any, kind: Any) -> Any:
        at = self.builder.gep(self.pointer, [place])
        return self.builder.bitcast(at, kind.as_pointer())


@contextmanager
def parts_of_like_size(
    builder: Any, total: Any, most: int
) -> Iterator[tuple[Any, Any]]:
    """Write a loop over parts of a whole, of like size and none larger than `most`.

    Two of five, say, not one of eight and one of two. Gives where a part begins and how
    large it is, while its code is written.
    """
    limit, one = ir.Constant(total.type, most), ir.Constant(total.type, 1)
    # Rounded up twice: to whole parts, and to whole numbers in each.
    parts = builder.udiv(builder.add(total, builder.sub(limit, one)), limit)
    size = builder.udiv(builder.sub(builder.add(total, parts), one), parts)
    zero = ir.Constant(total.type, 0)
    with cgutils.for_range_slice(builder, zero, total, size) as (start, _):
        # The last part has what is left, which may be less.
        left = builder.sub(total, start)
        yield start, builder.select(builder.icmp_signed("<", left, size), left, size)


def memory_of(context: Any, builder: Any, kind: Any, array: Any) -> Memory:
    """Return the elements of one of an intrinsic's arrays, of numba's type `kind`."""
    return Memory(builder, context.make_array(kind)(context, builder, array).data)


def spread(builder: Any, value: Any, count: int) -> Lanes:
    """Return a vector of which every lane is the same number, known at run time."""
    # The number is put first and that place then taken for all.
    nothing = ir.Constant(ir.VectorType(value.type, count), ir.Undefined)
    first = builder.insert_element(nothing, value, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), count), [0] * count)
    return Lanes(builder, builder.shuffle_vector(first, nothing, zeros))
