"""Models in GGUF files, run by llama.cpp in this process."""

import os
from collections.abc import Iterable
from pathlib import Path

from .._lib import checks
from .._lib.frames import optional
from .completions import CompletionsServer


class LlamaCpp(CompletionsServer):
    """The model in a GGUF file, run by llama.cpp in this process, without torch.

    A partial next-token model, for `read_model`. Its symbols are the model's token ids. The alphabet of all
    its trees is the file's vocabulary, so that they can be merged and mixed, also with data:
    ``TokenTree.from_sequences(ids, depth=3, alphabet_size=model.alphabet_size)``.

    Parameters
    ----------
    path : path-like
        The file.
    top : int or None
        Number of most likely tokens after a prefix; the mass of the others is left unexpanded. None for the
        whole vocabulary, which leaves no such mass. For 49,152 tokens, 1000 takes about twice as long as 100,
        5000 four times, and all of them fifty times. To compare with data, take 1000 to 5000.
    context : int
        Largest number of tokens of prompt and prefix together. Memory for keys and values grows with it.
    threads : int, optional
        Number of threads. Default: half the processors that this process may use.
    eos : iterable of str or int, optional
        Tokens that end a sequence, by text or by id. Default: the file's own.

    Attributes
    ----------
    alphabet_size : int
        Number of tokens in the file's vocabulary.
    eos, tokens, top
        As for `CompletionsServer`.

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid, or the file holds no model that llama.cpp can run; when called, as for
        `CompletionsServer`.
    FileNotFoundError
        If there is no such file.
    ImportError
        If the extra `llama` is missing.

    Notes
    -----
    It reads 40 prefixes per second with a model of 135 million parameters, on one core and in 370 MiB:
    llama.cpp reuses the keys and values of the last prefix. It computes with the quantised weights; its
    next-token distribution is 0.01 to 0.04 in total variation from that of the same file in float32. It
    listens on a port of this machine until the reader is deleted.

    Examples
    --------
    ::

        model = LlamaCpp("SmolLM2-135M-Instruct.Q4_1.gguf")
        tree = read_model(model, depth=3, prompt="The capital of France is", max_nodes=1000)
        print(model.text(max(tree.leaves(), key=lambda leaf: leaf.weight).prefix))
    """

    alphabet_size: int
    _proxies = False

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        top: int | None = 100,
        context: int = 4096,
        threads: int | None = None,
        eos: Iterable[str | int] | None = None,
    ) -> None:
        xllamacpp = optional("xllamacpp", "llama", "LlamaCpp")
        if not Path(path).is_file():
            raise FileNotFoundError(f"path = {os.fspath(path)!r}: there is no such file")
        options = xllamacpp.CommonParams()
        options.model.path = os.fspath(path)
        options.n_ctx = checks.integer("context", context, 2)
        if top is not None:
            checks.integer("top", top, 1)
        # Not every system says which processors a process may use.
        allowed = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))
        # Half of them, because its threads busy-wait: very slow if two share a core, or with other programs.
        threads = max(1, len(allowed(0)) // 2) if threads is None else checks.integer("threads", threads, 1)
        options.cpuparams.n_threads = options.cpuparams_batch.n_threads = threads
        # One prefix at a time, keeping its keys and values; and no output on the terminal.
        options.n_parallel, options.cache_ram_mib, options.warmup, options.verbosity = 1, 0, False, -1
        try:
            self._server = xllamacpp.Server(options)
        except RuntimeError as error:
            raise ValueError(f"path = {os.fspath(path)!r}: llama.cpp cannot run it: {error}") from error
        super().__init__(f"{self._server.listening_address}/v1", top=top, eos=eos, ids=True)
        self.needs_start = "llama.cpp needs a token to start from; give prompt=, a text or token ids"
