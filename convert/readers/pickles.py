"""Pickles read as data.

A pickle is a program for a small stack machine that may call anything importable. This interpreter runs the
stack part only: nothing named in the file is ever imported or called. Names that real checkpoints hold (tensors,
storages, ordered dicts, numpy numbers) have a handler in `pickle_calls`, every other class becomes an `Opaque`.

Inert stand-ins make a hostile file harmless, not honest, so names that only serve to run code (`os.system`,
`builtins.eval`, `torch.hub.load`, ...) are reported as an error, wherever they are mentioned (`pickle_rules`).

Work is limited (`pickle_rules`): a small file can take neither unbounded memory nor time.
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable
from typing import Any

from stvg_jax.convert.readers.pickle_calls import (
    CALLS,
    ArrayStub,
    LoadStorage,
    array_from_state,
    is_partial_methodcaller,
    referenced,
)
from stvg_jax.convert.readers.pickle_rules import (
    HOOKS,
    JUDGED,
    MAX_DEPTH,
    MAX_INT_BITS,
    MAX_MARKS,
    MAX_NAME,
    BoundedStream,
    fill,
    is_deeper,
    is_hostile,
    modern,
    words,
)
from stvg_jax.convert.readers.tensors import Opaque, TensorRef
from stvg_jax.core.errors import InputError, quoted

_LONG_STEP = 4  # looking up a name or a storage takes as long as this many other steps
# Errors that malformed bytes can cause: short reads, empty stack, unknown memo, wrong kinds of arguments.
_DAMAGE = (
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    AttributeError,
    OverflowError,
    EOFError,
    AssertionError,
    RecursionError,
    struct.error,
)


def read_pickle(path: Any, stream: BoundedStream, max_work: int, load_storage: LoadStorage | None = None) -> Any:
    """Reads one pickle from the position of `stream`, as plain data.

    Args:
        path: name of the file, for messages.
        stream: left just after the pickle.
        max_work: opcodes and elements copied, see `work_limit`.
        load_storage: (dtype, key, number of elements) -> 1-D TensorRef of a storage that the pickle refers to.

    Returns:
        dict, list, tuple, str, bytes, int, float, bool, None, `TensorRef` and `Opaque`, nested; containers may be
        shared and may even contain themselves.

    Raises:
        InputError: the pickle tries to run something, is damaged, or exceeds a limit.
    """
    return _Machine(path, stream, max_work, load_storage).run()


class _Machine:
    """The stack machine. One instance reads one pickle."""

    def __init__(self, path: Any, stream: BoundedStream, max_work: int, load_storage: LoadStorage | None):
        self.path = path
        self.stream = stream
        self.max_work = max_work
        self.load_storage = load_storage
        self.stack: list = []
        self.outer: list[list] = []
        self.memo: dict[int, Any] = {}
        self.work = 0

    def run(self) -> Any:
        try:
            # The stub asks for a whole file; `genops` uses read, readline and tell.
            for opcode, arg, _ in pickletools.genops(self.stream):  # pyright: ignore[reportArgumentType]
                self.spend(1)
                if opcode.name in _PUSH:
                    self.push_plain(arg)
                elif opcode.name == "STOP":
                    break
                else:
                    _OPCODES[opcode.name](self, arg)
            value = self.stack.pop()
        except _DAMAGE as error:
            raise InputError(
                f"{self.path} is damaged or cut short: its table of contents cannot be read near byte "
                f"{self.stream.tell():,} ({type(error).__name__}: {quoted(str(error))}); download it again"
            ) from error
        if is_deeper(value, MAX_DEPTH):
            raise InputError(f"{self.path} nests its contents more than {MAX_DEPTH} deep; it is not a checkpoint")
        return value

    def spend(self, amount: int) -> None:
        self.work += amount
        if self.work > self.max_work:
            raise InputError(
                f"{self.path} needs more than {self.max_work:,} steps to describe its contents; it is not a checkpoint"
            )

    # Names and calls.

    def reference(self, module: Any, name: Any) -> Opaque:
        """The inert stand-in for a global that the file names."""
        if type(module) is not str or type(name) is not str or len(module) + len(name) > MAX_NAME:
            raise ValueError("a class whose name is not a short text")
        self.spend(_LONG_STEP)
        module, name = modern(module, name)
        if is_hostile(module, name):
            raise self.hostile(f"tries to call {quoted(f'{module}.{name}')}")
        return Opaque(f"{module}.{name}")

    def hostile(self, what: str) -> InputError:
        return InputError(
            f"{self.path} {what} when opened, which a checkpoint never needs: do not open this file with PyTorch, "
            "and get the checkpoint from a source you trust"
        )

    def call(self, function: Any, args: Any) -> Any:
        if not isinstance(function, Opaque):
            raise TypeError(f"{type(function).__name__} called")
        if is_partial_methodcaller(function):
            function = Opaque("operator.methodcaller")
        if function.args is not None:
            raise self.hostile(f"tries to call an object of {quoted(function.name)}")
        if type(args) is not tuple:
            raise TypeError("arguments are not a tuple")
        self.spend(len(args))
        for value in args:
            if isinstance(value, Opaque) and value.args is None and value.name in JUDGED:
                raise self.hostile(f"hands on {quoted(value.name)} to be called")
        handler = CALLS.get(function.name)
        if handler is None:
            return Opaque(function.name, args)
        self.spend(_LONG_STEP)
        return handler(self, *args)

    # Opcodes that move values.

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def push_plain(self, value: Any) -> None:
        if type(value) is int and value.bit_length() > MAX_INT_BITS:
            raise ValueError(f"an integer of {value.bit_length()} bits")
        self.stack.append(bytes(value) if type(value) is bytearray else value)

    def mark(self, _) -> None:
        if len(self.outer) >= MAX_MARKS:
            raise ValueError(f"more than {MAX_MARKS} nested marks")
        self.outer.append(self.stack)
        self.stack = []

    def pop_mark(self) -> list:
        items, self.stack = self.stack, self.outer.pop()
        return items

    def pop(self, _) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.pop_mark()

    def put(self, key: int | None) -> None:
        key = len(self.memo) if key is None else key
        if not 0 <= key < 2**32:
            raise ValueError("memo index out of range")
        value = self.stack[-1]
        if isinstance(value, ArrayStub):
            value.memo_keys.append(key)
        self.memo[key] = value

    def take(self, count: int) -> tuple:
        if len(self.stack) < count:
            raise IndexError("stack is empty")
        items = tuple(self.stack[-count:])
        del self.stack[-count:]
        return items

    def append_all(self, items: list) -> None:
        target = self.stack[-1]
        if isinstance(target, Opaque) and target.args is not None:
            target = target.sequence
        if type(target) is not list:
            raise TypeError(f"items appended to {type(target).__name__}")
        target.extend(items)

    def set_items(self, items: list) -> None:
        target = self.stack[-1]
        if isinstance(target, Opaque) and target.args is not None:
            target = target.mapping
        if type(target) is not dict or len(items) % 2:
            raise TypeError(f"{len(items)} keys and values set on {type(target).__name__}")
        fill(target, zip(items[::2], items[1::2], strict=True))

    def make_set(self, items: list) -> Opaque:
        out = Opaque("builtins.set", ())
        out.sequence = items
        return out

    # Opcodes that would run something.

    def op_global(self, arg: str) -> None:
        module, _, name = arg.partition(" ")
        self.push(self.reference(module, name))

    def op_stack_global(self, _) -> None:
        self.push(self.reference(*self.take(2)))

    def op_reduce(self, _) -> None:
        self.push(self.call(*self.take(2)))

    def op_newobj_ex(self, _) -> None:
        kind, args, kwargs = self.take(3)
        if type(kwargs) is not dict:
            raise TypeError("keyword arguments are not a dict")
        self.spend(len(args))
        self.push(self.call(kind, (*args, kwargs) if kwargs else args))

    def op_inst(self, arg: str) -> None:
        module, _, name = arg.partition(" ")
        self.push_call(self.reference(module, name), self.pop_mark())

    def op_obj(self, _) -> None:
        kind, *args = self.pop_mark()
        self.push_call(kind, args)

    def push_call(self, kind: Any, args: list) -> None:
        self.push(self.call(kind, tuple(args)))

    def op_ext(self, code: int) -> None:
        raise self.hostile(f"asks for the registered extension {code}")

    def op_build(self, _) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, (dict, TensorRef)):
            return  # attributes of a state dict (`_metadata`) or of a parameter
        if not isinstance(target, Opaque):
            raise TypeError(f"state restored into {type(target).__name__}")
        if target.args is None:
            raise self.hostile(f"tries to change {quoted(target.name)}")
        for part in state[:2] if type(state) is tuple else (state,):
            if type(part) is dict and any(hook in part for hook in HOOKS):
                raise self.hostile(f"tries to replace methods of {quoted(target.name)}")
        if isinstance(target, ArrayStub):
            self.finish_array(target, state)
        else:
            target.state = state

    def finish_array(self, stub: ArrayStub, state: Any) -> None:
        """Replaces the stand-in, which the memo already holds, by the tensor."""
        stub.state = state
        tensor = array_from_state(self, state)
        if tensor is None:
            return
        self.stack[-1] = tensor
        for key in stub.memo_keys:
            if self.memo[key] is stub:
                self.memo[key] = tensor
        stub.memo_keys.clear()

    def op_persistent(self, _) -> None:
        self.spend(_LONG_STEP)
        self.push(referenced(self, self.stack.pop()))

    def refused(self, arg: Any) -> None:
        raise ValueError("an opcode that no checkpoint uses")


_PUSH = words(
    """
    INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING BINBYTES BINBYTES8
    SHORT_BINBYTES BYTEARRAY8 UNICODE BINUNICODE BINUNICODE8 SHORT_BINUNICODE
    """
)

_OPCODES: dict[str, Callable[[_Machine, Any], object]] = {
    "PROTO": lambda m, _: None,
    "FRAME": lambda m, _: None,
    "NONE": lambda m, _: m.push(None),
    "NEWTRUE": lambda m, _: m.push(True),
    "NEWFALSE": lambda m, _: m.push(False),
    "EMPTY_LIST": lambda m, _: m.push([]),
    "EMPTY_TUPLE": lambda m, _: m.push(()),
    "EMPTY_DICT": lambda m, _: m.push({}),
    "EMPTY_SET": lambda m, _: m.push(m.make_set([])),
    "FROZENSET": lambda m, _: m.push(m.make_set(m.pop_mark())),
    "LIST": lambda m, _: m.push(m.pop_mark()),
    "TUPLE": lambda m, _: m.push(tuple(m.pop_mark())),
    "TUPLE1": lambda m, _: m.push(m.take(1)),
    "TUPLE2": lambda m, _: m.push(m.take(2)),
    "TUPLE3": lambda m, _: m.push(m.take(3)),
    "DICT": lambda m, _: (items := m.pop_mark(), m.push({}), m.set_items(items)),
    "MARK": _Machine.mark,
    "POP": _Machine.pop,
    "POP_MARK": lambda m, _: m.pop_mark(),
    "DUP": lambda m, _: m.push(m.stack[-1]),
    "GET": lambda m, key: m.push(m.memo[key]),
    "BINGET": lambda m, key: m.push(m.memo[key]),
    "LONG_BINGET": lambda m, key: m.push(m.memo[key]),
    "PUT": _Machine.put,
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "MEMOIZE": _Machine.put,
    "APPEND": lambda m, _: m.append_all([m.stack.pop()]),
    "APPENDS": lambda m, _: m.append_all(m.pop_mark()),
    "ADDITEMS": lambda m, _: m.append_all(m.pop_mark()),
    "SETITEM": lambda m, _: m.set_items(list(m.take(2))),
    "SETITEMS": lambda m, _: m.set_items(m.pop_mark()),
    "GLOBAL": _Machine.op_global,
    "STACK_GLOBAL": _Machine.op_stack_global,
    "REDUCE": _Machine.op_reduce,
    "NEWOBJ": _Machine.op_reduce,
    "NEWOBJ_EX": _Machine.op_newobj_ex,
    "INST": _Machine.op_inst,
    "OBJ": _Machine.op_obj,
    "BUILD": _Machine.op_build,
    "BINPERSID": _Machine.op_persistent,
    "PERSID": _Machine.refused,
    "EXT1": _Machine.op_ext,
    "EXT2": _Machine.op_ext,
    "EXT4": _Machine.op_ext,
    "NEXT_BUFFER": _Machine.refused,
    "READONLY_BUFFER": _Machine.refused,
}
