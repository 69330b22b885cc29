"""The laws of joint compression, proved by SymPy."""

from .forms import Form, a, k, l, m, published_rates, three_dataset_rates
from .laws import covariance_form, euler, gibbs_duhem, hooke, leaf_laws, one_sign_decides, pareto_self_rate
from .proof import Laws, proved, residual

__all__ = ["a", "k", "l", "m"]
__all__ += ["Form", "Laws", "covariance_form", "euler", "gibbs_duhem", "hooke", "leaf_laws"]
__all__ += ["one_sign_decides", "pareto_self_rate", "proved", "published_rates", "residual"]
__all__ += ["three_dataset_rates"]
__dir__ = __all__.copy
