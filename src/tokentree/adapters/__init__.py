"""Language models as next-token distributions, and their token trees.

`read_model` expands a model into a token tree; `read_along` reads it on the prefixes of a data tree. A model
is any callable that satisfies `NextTokenModel`. The others here make one of what you have: `CausalLM` of a
transformers model, `CompletionsServer` and `RecordedCompletions` of an OpenAI-compatible server's answers,
and `SavedModel` of a file. Each loads the library it needs when it is used.
`Recording` keeps the answers of a slow one.
"""

from .answers import parse_response
from .asking import NextTokenModel, ReadError
from .completions import CompletionsServer, RecordedCompletions
from .huggingface import CausalLM
from .posting import http_post
from .reader import read_along, read_model
from .recording import Recording, record
from .saved import SavedModel
from .vocabulary import Vocabulary

__all__ = ["CausalLM", "CompletionsServer", "NextTokenModel", "ReadError", "RecordedCompletions", "Recording"]
__all__ += ["SavedModel", "Vocabulary", "http_post", "parse_response", "read_along", "read_model", "record"]
