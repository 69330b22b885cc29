r"""Section 4.3's springs: the mechanical chain, and the spring system that joint compression is.

**The chain.** Springs in series between a wall and a load, or between two walls: Hooke's law and nothing
else. Its motion is linear, M u'' + C u' + K u = f, so it has a closed form, one damped oscillator a mode.

Stiffnesses may span eighteen decades. Compliances enter as shares (1/k_i) / sum (1/k_j), all positive. The
matrix K is never formed for the modes: its smallest eigenvalues would drown in the rounding of its largest
entries. With masses m, spring i between nodes i - 1 and i, and node 0 the wall,

    M^(-1/2) K M^(-1/2) = B B^T,   B[j, j] = (k_j / m_j)^(1/2),   B[j, j+1] = -(k_{j+1} / m_j)^(1/2),

and the singular values of a bidiagonal matrix, here the frequencies, are determined by its entries to high
relative accuracy and found so by the implicit QR method (Demmel and Kahan 1990). A last node held by a second
wall has infinite mass: its row of B is zero.

**The mixture.** Anchors p_i, stiffnesses n_i, and one node q = sum n_i p_i / T, at which the forces
n_i (p_i - q) balance. The page docs/springs.md says where this is Hooke's law exactly, where to first order,
and where it is not, with proofs.
"""

import math
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from . import _checks, _interop
from ._checks import Numbers
from .information import divergence_terms, kl_divergence
from .mixture import SCALE, Mixture, exact_number, inverse_root

STIFF = 1e4
"""Oscillations, about, beyond which the check by integration uses an implicit method."""


@_interop.comparable
class ChainState(NamedTuple):
    """A chain at rest, or many; leading axes are those of the forces or distances asked for.

    Attributes
    ----------
    positions : float array, shape (..., n + 1)
        Of the wall at 0 and of every node after it.
    extensions : float array, shape (..., n)
        Of each spring beyond its natural length.
    tensions : float array, shape (..., n)
        Force that each spring pulls with: stiffness times extension.
    energy : float array, shape (...)
        Stored in the springs.
    """

    positions: Float[np.ndarray, "*batch nodes"]
    extensions: Float[np.ndarray, "*batch springs"]
    tensions: Float[np.ndarray, "*batch springs"]
    energy: Float[np.ndarray, "*batch"] | np.float64


@_interop.comparable
class ChainMotion(NamedTuple):
    """A chain in motion.

    Attributes
    ----------
    times : float array, shape (L,)
    displacements : float array, shape (L, nodes)
        Of the free nodes, from where they rest without load.
    velocities : float array, shape (L, nodes)
    rest : float array, shape (nodes,)
        Displacements at which the load is in balance.
    """

    times: Float[np.ndarray, "times"]
    displacements: Float[np.ndarray, "times nodes"]
    velocities: Float[np.ndarray, "times nodes"]
    rest: Float[np.ndarray, "nodes"]

    def __repr__(self) -> str:
        return f"ChainMotion({self.rest.size} nodes, time {_interop.span(self.times)})"


class SpringChain:
    r"""Ideal springs in series. Immutable.

    Parameters
    ----------
    stiffness : array_like, shape (n,)
        The k_i, finite and > 0, from the wall outwards. Units are the caller's: energy is force times length.
    names : sequence of n strings, optional
        Default: "k1", "k2", ...

    Raises
    ------
    ValueError
        If a stiffness is not finite and > 0, there is none, or the names do not fit.
    TypeError
        If the stiffnesses are not real numbers or a name is no string.

    Notes
    -----
    Section 4.3 of the paper.

    Examples
    --------
    >>> chain = SpringChain([1, 3])
    >>> chain.equivalent_stiffness
    0.75
    >>> chain.extensions(3)
    array([3., 1.])
    """

    def __init__(self, stiffness: Annotated[Numbers, "springs"], names: Iterable[str] | None = None) -> None:
        k = np.array(_checks.positive("stiffness", stiffness))
        if k.ndim != 1 or k.size == 0:
            raise ValueError(f"stiffness has shape {k.shape}: must be (n,), one number a spring")
        k.flags.writeable = False
        self._stiffness = k
        rule = f"must be {k.size} strings, one a spring"
        default = [f"k{i + 1}" for i in range(k.size)]
        self._names = tuple(default if names is None else _checks.items("names", names, rule))
        for i, name in enumerate(self._names):
            if not isinstance(name, str):
                raise TypeError(f"names[{i}] = {name!r}: must be a string")
        if len(self._names) != k.size:
            raise ValueError(f"names = {names!r}: {rule}")
        # Not sum(1 / k): the compliance of a very soft spring may be beyond a float64.
        compliance = k.min() / k
        self._shares = compliance / math.fsum(compliance)
        self._equivalent = float(k.min()) / math.fsum(compliance)

    @property
    def stiffness(self) -> Float[np.ndarray, "springs"]:
        """The k_i, read-only."""
        return self._stiffness

    @property
    def names(self) -> tuple[str, ...]:
        """The springs' names."""
        return self._names

    @property
    def equivalent_stiffness(self) -> float:
        """k_eff = (sum 1/k_i)^-1, to three roundings."""
        return self._equivalent

    # Between a wall and a load

    def extensions(self, force: Annotated[Numbers, "*batch"]) -> Float[np.ndarray, "*batch springs"]:
        """Extension F / k_i of every spring under a force on the end, shape (..., n)."""
        extensions: Float[np.ndarray, "*batch springs"] = _finite("force", force)[..., None] / self._stiffness
        return extensions

    def force(
        self, total_extension: Annotated[Numbers, "*batch"]
    ) -> Float[np.ndarray, "*batch"] | np.float64:
        """Force k_eff x total extension that stretches the whole chain so far."""
        force: Float[np.ndarray, "*batch"] | np.float64 = (
            self._equivalent * _finite("total_extension", total_extension)
        )[()]
        return force

    def energy(self, force: Annotated[Numbers, "*batch"]) -> Float[np.ndarray, "*batch"] | np.float64:
        """Energy F^2 / (2 k_eff) stored in the chain under a force on the end.

        Examples
        --------
        >>> SpringChain([1, 3]).energy([0, 3])
        array([0., 6.])
        """
        f = _finite("force", force)
        energy: Float[np.ndarray, "*batch"] | np.float64 = (f / self._equivalent * f / 2)[()]
        return energy

    def under_load(
        self,
        force: Annotated[Numbers, "*batch"],
        natural_lengths: Annotated[Numbers, "springs"] = 0.0,
    ) -> ChainState:
        r"""The chain between a wall and a force on its end; an array of forces gives force-extension curves.

        Parameters
        ----------
        force : array_like, shape (...)
            Pull on the last node, away from the wall; negative pushes.
        natural_lengths : array_like, shape (n,) or ()
            Lengths of the springs without force, >= 0.

        Returns
        -------
        ChainState

        Raises
        ------
        ValueError, TypeError
            If an entry is not as above.

        Examples
        --------
        >>> SpringChain([1, 3]).under_load([0, 3], natural_lengths=1).positions
        array([[0., 1., 2.],
               [0., 4., 6.]])
        """
        lengths, given = self._natural(natural_lengths), _finite("force", force)
        extensions = self.extensions(given)
        tensions = np.broadcast_to(given[..., None], extensions.shape)
        positions = np.cumsum(lengths + extensions, axis=-1)
        return ChainState(_after_wall(positions), extensions, tensions, self.energy(given))

    # Between two walls

    def between_walls(
        self,
        distance: Annotated[Numbers, "*#batch"],
        natural_lengths: Annotated[Numbers, "springs"] = 0.0,
        pull: Annotated[Numbers, "*#batch nodes"] | None = None,
    ) -> ChainState:
        r"""The chain between two fixed walls, its inner nodes pulled or not.

        Parameters
        ----------
        distance : array_like, shape (...)
            Between the walls, >= 0. The springs are compressed if it is less than their natural lengths.
        natural_lengths : array_like, shape (n,) or ()
            Lengths of the springs without force, >= 0.
        pull : array_like, shape (..., n - 1), optional
            Force on each inner node, away from the first wall. Default: none. Leading axes broadcast with
            those of `distance`.

        Returns
        -------
        ChainState
            ``tensions[..., 0]`` and ``tensions[..., -1]`` are the forces on the walls.

        Raises
        ------
        ValueError, TypeError
            If an entry or a shape is not as above.

        Notes
        -----
        A force f on node p reaches the springs before it with f times the share of the compliance behind it,
        and those behind it with -f times the share before it. Tension i is k_eff (distance - lengths) plus
        such terms, with an error of about n units in the last place of their sizes. O(n) a state.

        Examples
        --------
        The two-dataset mixture of sizes 3 and 1 is this chain: the node sits at w_2 = 1/4.

        >>> SpringChain([3, 1]).between_walls(1).positions
        array([0.  , 0.25, 1.  ])
        >>> SpringChain([3, 1]).between_walls(1, pull=[[0], [2]]).tensions
        array([[0.75, 0.75],
               [2.25, 0.25]])
        """
        n = self._stiffness.size
        lengths = self._natural(natural_lengths)
        apart = _finite("distance", distance)
        _checks.nonnegative("distance", apart)
        forces = np.zeros(n - 1) if pull is None else _finite("pull", pull)
        if forces.shape[-1:] != (n - 1,):
            raise ValueError(f"pull has shape {forces.shape}: must be (..., {n - 1}), a force an inner node")
        try:
            shape = np.broadcast_shapes(apart.shape, forces.shape[:-1])
        except ValueError:
            shapes = f"distance has shape {apart.shape} and pull {forces.shape}"
            raise ValueError(f"{shapes}: leading axes must broadcast") from None
        before = np.cumsum(self._shares)[:-1]
        behind = np.cumsum(self._shares[::-1])[-2::-1]
        tensions = np.empty((*shape, n))
        tensions[:] = (self._equivalent * (apart - math.fsum(lengths)))[..., None]
        tensions[..., :-1] += np.cumsum((forces * behind)[..., ::-1], axis=-1)[..., ::-1]
        tensions[..., 1:] -= np.cumsum(forces * before, axis=-1)
        extensions = tensions / self._stiffness
        positions = np.cumsum(lengths + extensions, axis=-1)
        positions[..., -1] = apart
        energy = (tensions * extensions).sum(axis=-1) / 2
        return ChainState(_after_wall(positions), extensions, tensions, energy)

    # Motion

    def frequencies(
        self, masses: Annotated[Numbers, "nodes"] = 1.0, held: bool = False
    ) -> Float[np.ndarray, "modes"]:
        r"""Natural angular frequencies of the chain without damping, from the highest down.

        Parameters
        ----------
        masses : array_like, shape (nodes,) or ()
            Of the free nodes, finite and > 0.
        held : bool
            Whether a second wall holds the last node. There are n - 1 free nodes then, and n otherwise.

        Raises
        ------
        ValueError, TypeError
            If a mass is not as above, or no node is free.

        Notes
        -----
        High relative accuracy for all of them, also where stiffnesses span eighteen decades. O(n^2); n = 1000
        in a tenth of a second.

        Examples
        --------
        >>> SpringChain([2, 2]).frequencies(held=True)
        array([2.])
        """
        from scipy import linalg

        found: Float[np.ndarray, "modes"] = linalg.svd(
            self._bidiagonal(self._masses(masses, held)), compute_uv=False, lapack_driver="gesvd"
        )
        # A node held has no mode: its zero comes last.
        return found[: found.size - held]

    def simulate(
        self,
        times: Annotated[Numbers, "times"],
        masses: Annotated[Numbers, "nodes"] = 1.0,
        load: Annotated[Numbers, "nodes"] = 0.0,
        mass_damping: float = 0.0,
        stiffness_damping: float = 0.0,
        displacement: Annotated[Numbers, "nodes"] = 0.0,
        velocity: Annotated[Numbers, "nodes"] = 0.0,
        held: bool = False,
        integrate: bool = False,
    ) -> ChainMotion:
        r"""Motion of the nodes under constant forces, M u'' + C u' + K u = f with C = a M + b K.

        Parameters
        ----------
        times : array_like, shape (L,)
            When, >= 0, in any order. Motion starts at 0.
        masses : array_like, shape (nodes,) or ()
            Of the free nodes, finite and > 0.
        load : array_like, shape (nodes,) or ()
            Constant force on each free node; a single number is the force on the last of them.
        mass_damping : float
            a >= 0, per time: every node is slowed by the force a m_j u'_j.
        stiffness_damping : float
            b >= 0, a time: beside every spring stands a dashpot of viscosity b k_i.
        displacement, velocity : array_like, shape (nodes,) or ()
            At time 0; displacements are from where the nodes rest without load. Between walls that is
            anywhere: pretension does not change the motion of linear springs.
        held : bool
            Whether a second wall holds the last node. There are n - 1 free nodes then, and n otherwise.
        integrate : bool
            Solve the equations of motion by `scipy.integrate.solve_ivp` instead of in closed form. A check:
            explicit (DOP853), and implicit (Radau) where the chain is stiff. It must follow every
            oscillation, so it is for chains whose fast modes are damped well, or short times.

        Returns
        -------
        ChainMotion

        Raises
        ------
        ValueError, TypeError
            If an entry is not as above, or the motion of a mode leaves the range of a float64.
        RuntimeError
            If the integration fails.

        Notes
        -----
        Proportional damping (Rayleigh 1877) keeps the modes of the undamped chain, so each is a damped
        oscillator of its own and the closed form is exact. Errors are relative to the largest displacement,
        that at rest included; a mode of frequency w loses the digits of w t. O(n^3 + n^2 L); n = 1000 in
        about a second. The damping is not general: one coefficient for all nodes, one for all springs.

        Examples
        --------
        >>> motion = SpringChain([4]).simulate([0, math.pi / 2, 40], load=8, mass_damping=0.8)
        >>> motion.displacements.round(3).ravel()
        array([0.   , 3.051, 2.   ])
        """
        at = _finite("times", times)
        if at.ndim != 1 or at.size == 0:
            raise ValueError(f"times has shape {at.shape}: must be (L,), at least one")
        _checks.nonnegative("times", at)
        m = self._masses(masses, held)
        given = _finite("load", load)
        forces = _per("load", given, m.size) if given.ndim else np.append(np.zeros(m.size - 1), given)
        damping = []
        for name, value in (("mass_damping", mass_damping), ("stiffness_damping", stiffness_damping)):
            damping.append(_finite(name, value))
            _checks.nonnegative(name, damping[-1])
        a, b = map(float, damping)
        start = _per("displacement", _finite("displacement", displacement), m.size)
        speed = _per("velocity", _finite("velocity", velocity), m.size)
        with np.errstate(over="ignore", invalid="ignore"):
            if held:
                stretch = self.between_walls(0, pull=forces).extensions
            else:
                stretch = np.cumsum(forces[::-1])[::-1] / self._stiffness
            rest = np.cumsum(stretch)[: m.size]
        if not np.isfinite(rest).all():
            _checks.fail_at(
                "rest", rest, ~np.isfinite(rest), "the load must leave it in the range of a float64"
            )
        if integrate:
            moved = self._integrated(at, m, a, b, start, speed, stretch)
        else:
            moved = self._closed(at, m, a, b, start, speed, rest, forces)
        return ChainMotion(at, *moved, rest)

    def _closed(
        self,
        times: Float[np.ndarray, "times"],
        masses: Float[np.ndarray, "nodes"],
        a: float,
        b: float,
        start: Float[np.ndarray, "nodes"],
        speed: Float[np.ndarray, "nodes"],
        rest: Float[np.ndarray, "nodes"],
        forces: Float[np.ndarray, "nodes"],
    ) -> tuple[Float[np.ndarray, "times nodes"], Float[np.ndarray, "times nodes"]]:
        """Displacements and velocities, mode by mode."""
        from scipy import linalg

        shapes, omega, _ = linalg.svd(self._bidiagonal(masses), lapack_driver="gesvd")
        shapes, omega = shapes[: masses.size, : masses.size], omega[: masses.size]
        root = np.sqrt(masses)
        # What leaves the range of a float64 is refused below. Squares of frequencies are not formed: they may
        # leave it where the motion does not.
        with np.errstate(all="ignore"):
            z, v, f = root * start, root * speed, forces / root
            # Where a mode rests, from the force or from the whole displacement, whichever is known better:
            # hard modes drown in the displacement of soft ones, and soft modes in the force on hard ones.
            direct = linalg.norm(f) / omega / omega <= linalg.norm(root * rest)
            away = np.where(direct, f @ shapes / omega / omega, (root * rest) @ shapes) - z @ shapes
            decay = (a + b * omega * omega) / 2
            left, push, brake = _oscillators(omega, decay, times)
            change = push * (v @ shapes) - left * away
            rates = brake * (v @ shapes) + push * omega * (omega * away)
            moved = start + change @ shapes.T / root, rates @ shapes.T / root
        normal = omega.min() >= np.finfo(np.float64).tiny
        if not (normal and all(np.isfinite(found).all() for found in (decay, *moved))):
            raise ValueError(
                f"frequencies from {omega.min():g} to {omega.max():g}, damped at up to {decay.max():g}, and "
                f"times up to {times.max():g}: the motion leaves the range of a float64"
            )
        return moved

    def _integrated(
        self,
        times: Float[np.ndarray, "times"],
        masses: Float[np.ndarray, "nodes"],
        a: float,
        b: float,
        start: Float[np.ndarray, "nodes"],
        speed: Float[np.ndarray, "nodes"],
        stretch: Float[np.ndarray, "springs"],
    ) -> tuple[Float[np.ndarray, "times nodes"], Float[np.ndarray, "times nodes"]]:
        """The same, step by step, from the forces of the springs; `stretch` is their extension at rest.

        The variables are extensions and velocities. With displacements instead, the tension of a hard spring
        at the end of soft ones would be a difference of large numbers.
        """
        from scipy import sparse

        k, free = self._stiffness, masses.size
        strain = sparse.eye_array(k.size, free) - sparse.eye_array(k.size, free, k=-1)
        pull = (sparse.diags_array(-1 / masses) @ strain.T @ sparse.diags_array(k)).tocsr()
        drag = b * (pull @ strain) - a * sparse.eye_array(free)
        motion = sparse.block_array([[None, strain], [pull, drag]]).tocsc()

        extensions = strain @ start - stretch
        energy = (k * extensions**2).sum() / 2 + (masses * speed**2).sum() / 2
        if energy == 0:
            return np.tile(start, (times.size, 1)), np.zeros((times.size, free))
        # What the energy allows each spring and each mass is the scale of their errors.
        scales = np.sqrt(2 * energy / np.concatenate([k, masses]))
        fastest = 2 * math.sqrt(abs(pull).max())
        stiff = times.max() * (fastest + a + b * fastest**2) > STIFF
        options: dict[str, Any] = (
            {"method": "Radau", "jac": motion, "rtol": 1e-10} if stiff else {"rtol": 1e-12}
        )
        states = _integrate(
            lambda _, y: motion @ y,
            np.concatenate([extensions, speed]),
            times,
            atol=1e-16 * scales,
            **options,
        )
        return np.cumsum(stretch + states[:, : k.size], axis=1)[:, :free], states[:, k.size :]

    def _bidiagonal(self, masses: Float[np.ndarray, "nodes"]) -> Float[np.ndarray, "springs springs"]:
        """B of the module's docstring; a node held by a wall is a row of zeros."""
        inverse = np.zeros(self._stiffness.size)
        inverse[: masses.size] = 1 / np.sqrt(masses)
        root = np.sqrt(self._stiffness)
        with np.errstate(over="ignore"):
            b = np.diag(root * inverse) - np.diag(root[1:] * inverse[:-1], k=1)
        if not np.isfinite(b).all():
            raise ValueError(
                f"stiffness up to {self._stiffness.max():g} and masses down to {masses.min():g}: "
                "the frequencies leave the range of a float64"
            )
        return b

    def _natural(self, lengths: Numbers) -> Float[np.ndarray, "springs"]:
        array = _finite("natural_lengths", lengths)
        _checks.nonnegative("natural_lengths", array)
        return _per("natural_lengths", array, self._stiffness.size)

    def _masses(self, masses: Numbers, held: bool) -> Float[np.ndarray, "nodes"]:
        free = self._stiffness.size - bool(held)
        if not free:
            raise ValueError("held = True: one spring between two walls has no node that is free to move")
        return _per("masses", _checks.positive("masses", masses), free)

    def __repr__(self) -> str:
        n = self._stiffness.size
        return f"SpringChain({n} spring{'s' * (n > 1)}, k_eff {self._equivalent:g})"


@_interop.comparable
class HookeInvariant(NamedTuple):
    """Section 4.3's |D_i| x Delta KL for one perturbation; made by `FisherSprings.invariant`.

    Attributes
    ----------
    forward : float array, shape (N,)
        n_i Delta KL(p_i || q), the finite change, which is n_i Delta gamma_i.
    reverse : float array, shape (N,)
        n_i Delta KL(q || p_i), the paper's direction; nan where KL(q || p_i) is infinite, before and after.
    forward_response, reverse_response : float arrays, shape (N,)
        The same to first order in the amount of data added.
    remainder : float
        T KL(q || q'), with q' the model after: exactly the sum of `forward`.
    """

    forward: Float[np.ndarray, "datasets"]
    reverse: Float[np.ndarray, "datasets"]
    forward_response: Float[np.ndarray, "datasets"]
    reverse_response: Float[np.ndarray, "datasets"]
    remainder: float


class FisherSprings:
    r"""Joint compression as springs: anchors p_i, stiffnesses n_i, and the model q where they meet.

    Parameters
    ----------
    mixture : Mixture

    Raises
    ------
    TypeError
        If `mixture` is not a Mixture.

    Notes
    -----
    Section 4.3 of the paper. With two datasets this is Hooke's law for two springs in series, exactly; see
    docs/springs.md.

    Examples
    --------
    >>> springs = FisherSprings(Mixture([[1, 0], [0, 1]], [3, 1]))
    >>> springs.node
    array([0.75, 0.25])
    >>> springs.forces
    array([[ 0.75, -0.75],
           [-0.75,  0.75]])
    """

    def __init__(self, mixture: Mixture) -> None:
        if not isinstance(mixture, Mixture):
            raise TypeError(f"mixture is a {type(mixture).__name__}: must be a Mixture")
        self._mixture = mixture

    @property
    def mixture(self) -> Mixture:
        """The mixture."""
        return self._mixture

    @property
    def anchors(self) -> Float[np.ndarray, "datasets leaves"]:
        """The p_i, shape (N, M)."""
        return self._mixture.distributions

    @property
    def stiffness(self) -> Float[np.ndarray, "datasets"]:
        """The n_i. At the node the springs act side by side: it is held with stiffness T = sum n_i."""
        return self._mixture.sizes

    @property
    def node(self) -> Float[np.ndarray, "leaves"]:
        """The model q, where the forces balance and the energy is least."""
        return self._mixture.joint

    @property
    def forces(self) -> Float[np.ndarray, "datasets leaves"]:
        """n_i (p_i - q), shape (N, M): what dataset i pulls the node with, leaf by leaf.

        p_i - q is formed as in `Mixture.response`, without cancellation. At every leaf the forces sum to zero
        within about 2 N^2 units in the last place of the largest of them there. O(N M).
        """
        sizes = self.stiffness[:, None]
        return np.concatenate([sizes * d / SCALE for _, _, d in self._mixture.centred_blocks()], axis=1)

    @property
    def extensions(self) -> Float[np.ndarray, "datasets"]:
        """Fisher-metric lengths |p_i - q| = sqrt(sum (p_i - q)^2 / q), shape (N,), without a unit.

        Their squares are the chi-square divergences, -T R_ii in nats. O(N M).
        """
        blocks = self._mixture.centred_blocks()
        squares = sum(((d * inverse_root(q)) ** 2).sum(axis=1) for _, q, d in blocks)
        return np.sqrt(_array(squares) / SCALE)

    def kl(self, base: float = 2, reverse: bool = False) -> Float[np.ndarray, "datasets"]:
        r"""KL(p_i || q) per block, or with `reverse` the paper's KL(q || p_i), shape (N,).

        Parameters
        ----------
        base : float
            2 for bits, ``math.e`` for nats.
        reverse : bool
            Which direction.

        Returns
        -------
        ndarray, shape (N,)
            Forward: finite, at most -log w_i. Reverse: inf where D_i lacks a leaf that another dataset has,
            so for disjoint datasets always.

        Raises
        ------
        ValueError
            If ``base <= 1``.

        Examples
        --------
        >>> springs = FisherSprings(Mixture([[1, 0], [1, 1]], [1, 1]))
        >>> springs.kl().round(4), springs.kl(reverse=True).round(4)
        (array([0.415 , 0.2075]), array([   inf, 0.1887]))
        """
        if not reverse:
            return self._mixture.kl(base)
        unit = _checks.log_base(base) * SCALE
        blocks = self._mixture.centred_blocks()
        return _array(sum(divergence_terms(q, p, -d).sum(axis=1) for p, q, d in blocks)) / unit

    def energy(self, node: Annotated[Numbers, "leaves"] | None = None, base: float = 2) -> float:
        r"""E(x) = sum n_i KL(p_i || x), in units of ``log(base)``.

        Parameters
        ----------
        node : array_like, shape (M,), optional
            A distribution x. Default: q, where the energy is least.
        base : float
            2 for bits, ``math.e`` for nats.

        Returns
        -------
        float
            inf where x lacks a leaf that a dataset has. At q, T times the Jensen-Shannon divergence of the
            datasets: what they lose by being coded jointly. Elsewhere E(x) = E(q) + T KL(q || x).

        Raises
        ------
        ValueError
            If `node` is not a distribution over the leaves, or ``base <= 1``.
        TypeError
            If `node` holds no real numbers.

        Examples
        --------
        >>> springs = FisherSprings(Mixture([[1, 0], [0, 1]], [1, 1]))
        >>> springs.energy(), round(springs.energy([0.75, 0.25]), 4)
        (2.0, 2.415)
        """
        if node is None:
            return float(self.stiffness @ self._mixture.kl(base))
        return float(self.stiffness @ kl_divergence(self.anchors, self._model("node", node), base))

    def invariant(self, dataset: int | str, amount: float | Fraction, base: float = 2) -> HookeInvariant:
        r"""|D_i| x Delta KL, both directions, as `amount` of data like `dataset` is added, or removed.

        Parameters
        ----------
        dataset : int or str
            Index or name of D_t.
        amount : int, float or Fraction
            As in `Mixture.perturb`.
        base : float
            2 for bits, ``math.e`` for nats.

        Returns
        -------
        HookeInvariant

        Raises
        ------
        ValueError, TypeError
            As in `Mixture.perturb`, and if ``base <= 1``.

        Notes
        -----
        Forward, sum_i n_i Delta KL(p_i || q) = T KL(q || q'), exactly, of second order in the amount: this is
        the conservation law for a finite perturbation. Backward there is no such law; see docs/springs.md.
        Changes are not differences of divergences: they are summed from log(q' / q), so they keep their
        digits however small the amount or unequal the sizes. O(N^2 M).

        Examples
        --------
        >>> from tokentree import published_form
        >>> thirds = published_form([[1, 0, 0], [0, 1, 0], [0, 0, 1]], k=1000, l=0.01)
        >>> found = FisherSprings(thirds).invariant("perturb", 0.01)
        >>> (found.forward / found.forward[1]).round(4)
        array([-0.97,  1.  , -0.02])
        >>> bool(abs(found.forward.sum() / found.remainder - 1) < 1e-9)
        True
        """
        unit = _checks.log_base(base)
        mixture = self._mixture
        t = mixture.index(dataset)
        after = mixture.perturb(t, amount)
        added = exact_number("amount", amount)
        step = float(added / sum(after.exact_sizes))
        moved = drag = fall = rise = _array(0.0)
        for (p, q, d), (_, target, _) in zip(mixture.centred_blocks(), after.centred_blocks(), strict=True):
            change = step * d[t]
            moved = moved + (d * _log_ratio(target, q, change)).sum(axis=1)
            fall = fall + divergence_terms(q, target, -change).sum()
            rise = rise + divergence_terms(target, q, change).sum()
            with np.errstate(divide="ignore", invalid="ignore"):
                drag = drag - (d[t] * _log_ratio(p, q, d)).sum(axis=1)
        sizes = mixture.sizes / (SCALE * unit)
        drag = np.where(np.isfinite(drag), drag, np.nan)
        first = float(added / sum(mixture.exact_sizes))
        return HookeInvariant(
            forward=sizes * (fall - moved),
            reverse=sizes * (step * drag + rise),
            forward_response=mixture.sizes * mixture.response(base)[:, t] * float(added),
            # In this order: sizes * first may be below a float64.
            reverse_response=sizes * drag * first,
            remainder=mixture.total_size * float(fall) / (SCALE * unit),
        )

    # Dynamics

    def flow(
        self,
        start: Annotated[Numbers, "leaves"],
        tau: Annotated[Numbers, "*batch"],
        towards: int | str | None = None,
        integrate: bool = False,
    ) -> Float[np.ndarray, "*batch leaves"]:
        r"""Natural-gradient flow of the energy: x(tau) = q + (x_0 - q) e^-tau.

        Parameters
        ----------
        start : array_like, shape (M,)
            The model x_0 at tau = 0.
        tau : array_like, shape (...)
            Times >= 0, in units of one over the learning rate. k steps of fixed rate eta take tau =
            -k log(1 - eta).
        towards : int or str, optional
            Train on this dataset alone: p_t takes the place of q. Default: on all of them.
        integrate : bool
            Solve dx/dtau = q - x by `scipy.integrate.solve_ivp` instead: a check.

        Returns
        -------
        ndarray, shape (..., M)

        Raises
        ------
        ValueError
            If `start` is not a distribution over the leaves, a tau is negative or not finite, or the dataset
            is unknown.
        TypeError
            If `start` or `tau` holds no real numbers.
        RuntimeError
            If the integration fails.

        Notes
        -----
        Steepest descent of E(x) / T in the Fisher metric sum u^2 / x. Along it the excess energy is
        T KL(q || x(tau)), which is at most e^-tau of what it was. O(M) a time.

        Examples
        --------
        >>> springs = FisherSprings(Mixture([[1, 0], [0, 1]], [3, 1]))
        >>> springs.flow([0, 1], [0, math.log(2)])
        array([[0.   , 1.   ],
               [0.375, 0.625]])
        """
        x = self._model("start", start)
        times = _finite("tau", tau)
        _checks.nonnegative("tau", times)
        target = self.node if towards is None else self.anchors[self._mixture.index(towards, "towards")]
        if integrate:
            states = _integrate(lambda _, y: target - y, x, times.ravel(), rtol=1e-12, atol=1e-15)
            return states.reshape(*times.shape, x.size)
        left = times[..., None]
        # A mean with positive weights: no mass goes below zero.
        flowed: Float[np.ndarray, "*batch leaves"] = x * np.exp(-left) - target * np.expm1(-left)
        return flowed

    def equivalent_size(self, tau: Annotated[Numbers, "*batch"]) -> Float[np.ndarray, "*batch"] | np.float64:
        r"""T (e^tau - 1): training on D_t alone for tau equals adding so much of it; inf beyond a float64.

        Examples
        --------
        >>> springs = FisherSprings(Mixture([[1, 0], [0, 1]], [3, 1]))
        >>> springs.flow(springs.node, math.log(2), towards=1)
        array([0.375, 0.625])
        >>> springs.mixture.perturb(1, 4).joint, round(springs.equivalent_size(math.log(2)), 12)
        (array([0.375, 0.625]), np.float64(4.0))
        """
        times = _finite("tau", tau)
        _checks.nonnegative("tau", times)
        with np.errstate(over="ignore"):
            size: Float[np.ndarray, "*batch"] | np.float64 = (self._mixture.total_size * np.expm1(times))[()]
        return size

    def equivalent_time(self, size: Annotated[Numbers, "*batch"]) -> Float[np.ndarray, "*batch"] | np.float64:
        """log(1 + size / T), the inverse of `equivalent_size`."""
        sizes = _finite("size", size)
        _checks.nonnegative("size", sizes)
        tau: Float[np.ndarray, "*batch"] | np.float64 = np.log1p(sizes / self._mixture.total_size)[()]
        return tau

    def _model(self, name: str, value: Numbers) -> Float[np.ndarray, "leaves"]:
        model = _checks.distributions(name, value)
        if model.shape != (self._mixture.n_leaves,):
            raise ValueError(
                f"{name} has shape {model.shape}: must be ({self._mixture.n_leaves},), the leaves"
            )
        return model

    def __repr__(self) -> str:
        return f"FisherSprings({self._mixture!r})"


def _oscillators(
    omega: Float[np.ndarray, "modes"], decay: Float[np.ndarray, "modes"], times: Float[np.ndarray, "times"]
) -> tuple[
    Float[np.ndarray, "times modes"], Float[np.ndarray, "times modes"], Float[np.ndarray, "times modes"]
]:
    """Solutions of z'' + 2 decay z' + omega^2 z = 0: z - 1 from z(0) = 1; z, then z', from z'(0) = 1."""
    t = times[:, None]
    left, push, brake = (np.empty((times.size, omega.size)) for _ in range(3))
    # Roots first: neither the product nor the squares need be within a float64.
    split = np.sqrt(np.abs(decay - omega)) * np.sqrt(decay + omega)

    under: Bool[np.ndarray, "modes"] = decay <= omega
    g, w = decay[under], split[under]
    fade = np.exp(-g * t)
    push[:, under] = fade * t * np.sinc(w * t / np.pi)
    brake[:, under] = fade * np.cos(w * t) - g * push[:, under]
    left[:, under] = np.expm1(-g * t) - 2 * fade * np.sin(w * t / 2) ** 2 + g * push[:, under]

    over = ~under
    g, w = decay[over], split[over]
    # The roots are -slow and -fast; slow is not a difference of large numbers.
    fast = g + w
    slow = omega[over] * (omega[over] / fast)
    push[:, over] = -np.exp(-slow * t) * np.expm1(-2 * w * t) / (2 * w)
    brake[:, over] = np.exp(-fast * t) - slow * push[:, over]
    left[:, over] = np.expm1(-slow * t) + slow * push[:, over]

    # Early on those terms cancel; the power series of z - 1 in t does not.
    early = (decay + omega) * t < 0.1
    x, y = np.where(early, omega * t, 0.0), np.where(early, decay * t, 0.0)
    series, before, term = np.zeros_like(x), np.ones_like(x), np.zeros_like(x)
    for n in range(2, 12):
        before, term = term, -(2 * y * term + x * x * before / (n - 1)) / n
        series += term
    return np.where(early, series, left), push, brake


def _integrate(
    motion: Callable[[float, Any], Any],
    start: Float[np.ndarray, "states"],
    times: Float[np.ndarray, "times"],
    method: Literal["DOP853", "Radau"] = "DOP853",
    **options: Any,
) -> Float[np.ndarray, "times states"]:
    """States at the times, in whatever order."""
    from scipy.integrate import solve_ivp

    ordered, place = np.unique(times, return_inverse=True)
    span = (0.0, float(ordered[-1]) or 1.0)
    found = solve_ivp(motion, span, start, method=method, t_eval=ordered, **options)
    if not found.success:
        raise RuntimeError(f"the integration failed: {found.message}")
    states: Float[np.ndarray, "times states"] = found.y.T[place]
    return states


def _log_ratio(
    over: Float[np.ndarray, "*#rows block"],
    under: Float[np.ndarray, "block"],
    difference: Float[np.ndarray, "*#rows block"],
) -> Float[np.ndarray, "*rows block"]:
    """log(over / under), given their difference more exactly; 0 where both are 0."""
    safe = np.where(under > 0, under, 1.0)
    relative = difference / safe
    near = np.abs(relative) < 1 / 2
    ratio = np.where(near | (under == 0), 1.0, over / safe)
    logs: Float[np.ndarray, "*rows block"] = np.where(
        near, np.log1p(np.where(near, relative, 0.0)), np.log(ratio)
    )
    return logs


def _finite(name: str, value: Numbers) -> Float[np.ndarray, "*shape"]:
    array: Float[np.ndarray, "*shape"] = _checks.float_array(name, value)
    if not np.isfinite(array).all():
        _checks.fail_at(name, array, ~np.isfinite(array), "must be finite")
    return array


def _per(name: str, array: Float[np.ndarray, "..."], n: int) -> Float[np.ndarray, "n"]:
    """A single number for each of n, or n numbers."""
    if array.shape not in ((), (n,)):
        raise ValueError(f"{name} has shape {array.shape}: must be one number or ({n},)")
    return np.full(n, array)


def _array(value: Any) -> Float[np.ndarray, "..."]:
    array: Float[np.ndarray, "..."] = np.asarray(value, np.float64)
    return array


def _after_wall(positions: Float[np.ndarray, "*batch springs"]) -> Float[np.ndarray, "*batch nodes"]:
    return np.concatenate([np.zeros((*positions.shape[:-1], 1)), positions], axis=-1)
