"""Messages coded and decoded beside bitarray and constriction, codes and models made before."""

from functools import partial

import numpy as np

from tokentree.codes import ArithmeticModel, HuffmanCode, arithmetic_decode, arithmetic_encode

from .timing import Family, Run, Sides

SIZES = (2, 10, 100, 1000, 10**4, 10**5, 10**6)


def huffman(alphabet: int, decoding: bool, n: int) -> Sides:
    rng = np.random.default_rng(0)
    p = 1 + rng.pareto(1.2, alphabet)
    p /= p.sum()
    message = rng.choice(alphabet, n, p=p)
    code = HuffmanCode.from_weights(p)
    bits, packed = code.encode(message), code.encode(message, packed=True)

    def bitarray() -> Run:
        from bitarray import bitarray, decodetree

        book = {symbol: bitarray(word) for symbol, word in enumerate(code.codewords)}
        listed, stream, tree = message.tolist(), bitarray(), decodetree(book)
        stream.encode(book, listed)
        if decoding:
            return lambda: list(stream.decode(tree))
        return lambda: bitarray().encode(book, listed)

    if decoding:
        return {
            "tokentree": lambda: lambda: code.decode(bits),
            "tokentree, bytes": lambda: lambda: code.decode(packed, n),
            "bitarray": bitarray,
        }
    return {
        "tokentree": lambda: lambda: code.encode(message),
        "tokentree, bytes": lambda: lambda: code.encode(message, packed=True),
        "bitarray": bitarray,
    }


def arithmetic(each: bool, decoding: bool, n: int) -> Sides:
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.full(64, 0.5), size=n if each else 1)
    message = np.array([rng.choice(64, p=row) for row in p]) if each else rng.choice(64, n, p=p[0])
    p = p if each else p[0]
    model = ArithmeticModel(p)
    packed = arithmetic_encode(model, message, packed=True)

    def constriction() -> Run:
        import constriction

        categorical = constriction.stream.model.Categorical
        theirs = (categorical(perfect=False), p) if each else (categorical(p, perfect=True),)
        symbols = message.astype(np.int32)

        def encode() -> object:
            coder = constriction.stream.queue.RangeEncoder()
            coder.encode(symbols, *theirs)
            return coder.get_compressed()

        words, rest = encode(), () if each else (n,)
        if decoding:
            return lambda: constriction.stream.queue.RangeDecoder(words).decode(*theirs, *rest)
        return encode

    if decoding:
        return {
            "tokentree": lambda: lambda: arithmetic_decode(model, packed, n),
            "tokentree, p given": lambda: lambda: arithmetic_decode(p, packed, n),
            "constriction": constriction,
        }
    return {
        "tokentree": lambda: lambda: arithmetic_encode(model, message, packed=True),
        "tokentree, p given": lambda: lambda: arithmetic_encode(p, message, packed=True),
        "constriction": constriction,
    }


FAMILIES = {
    f"{'decode' if decoding else 'encode'} {alphabet}": Family(
        f"{'Decoding' if decoding else 'Encoding'} a Huffman code of {alphabet} symbols",
        "symbols",
        SIZES,
        partial(huffman, alphabet, decoding),
        8,
    )
    for alphabet in (256, 4)
    for decoding in (False, True)
} | {
    f"arithmetic {'decode' if decoding else 'encode'} {'each' if each else 'one'}": Family(
        f"Arithmetic {'decoding' if decoding else 'coding'}, "
        f"{'a distribution each' if each else 'one distribution'}",
        "symbols",
        SIZES[:5] if each else SIZES,
        partial(arithmetic, each, decoding),
        8,
    )
    for each in (False, True)
    for decoding in (False, True)
}
