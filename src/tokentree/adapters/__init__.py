"""Language models as next-token distributions, and their token trees.

`read_model` expands a model into a token tree; `read_along` reads it on the prefixes of a data tree. A model
is any callable that satisfies `NextTokenModel`. The others here make one of what you have: `CausalLM` of a
transformers model, `CompletionsServer` and `RecordedCompletions` of an OpenAI-compatible server's answers,
`SavedModel` of a file, and `NGramModel` of text alone. Each loads the library it needs when it is used.
`Recording` keeps the answers of a slow one.
"""

from .completions import CompletionsServer, RecordedCompletions, Vocabulary, http_post, parse_response
from .huggingface import CausalLM
from .ngram import NGramModel
from .reader import NextTokenModel, ReadError, read_along, read_model
from .saved import Recording, SavedModel, record

__all__ = [
    "CausalLM",
    "CompletionsServer",
    "NGramModel",
    "NextTokenModel",
    "ReadError",
    "RecordedCompletions",
    "Recording",
    "SavedModel",
    "Vocabulary",
    "http_post",
    "parse_response",
    "read_along",
    "read_model",
    "record",
]
