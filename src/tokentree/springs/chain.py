r"""Section 4.3's mechanical chain: springs in series between a wall and a load, or between two walls.

Only Hooke's law is used. The motion is linear, M u'' + C u' + K u = f, so it has a closed form.

Stiffnesses may span eighteen decades. Compliances enter as shares (1/k_i) / sum (1/k_j), which are all
positive.
"""

import math
from collections.abc import Iterable
from typing import Annotated

import numpy as np
from jaxtyping import Float

from .._lib import checks
from .._lib.checks import Numbers, finite, per_unit
from .motion import Equation, bidiagonal, closed_form, integrated
from .states import ChainMotion, ChainState


class SpringChain:
    r"""Ideal springs in series. Immutable.

    Parameters
    ----------
    stiffness : array_like, shape (n,)
        The k_i, finite and > 0, from the wall outwards. Units are up to the caller: energy is force times
        length.
    names : sequence of n distinct strings, optional
        Default: "k1", "k2", ...

    Raises
    ------
    ValueError
        If there are no springs, a stiffness is not finite and > 0, or the names do not fit.
    TypeError
        If the stiffnesses are not real numbers or a name is not a string.

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
        k = np.array(checks.positive("stiffness", stiffness))
        if k.ndim != 1 or k.size == 0:
            raise ValueError(f"stiffness has shape {k.shape}: must be (n,), one number per spring")
        k.flags.writeable = False
        self._stiffness = k
        self._names = checks.distinct_names(names, k.size, "spring", "k")
        # Not sum(1 / k): the compliance of a very soft spring may exceed the range of float64.
        compliance = k.min() / k
        self._shares = compliance / math.fsum(compliance)
        self._equivalent = float(k.min()) / math.fsum(compliance)

    @property
    def stiffness(self) -> Float[np.ndarray, "springs"]:
        """The k_i, read-only."""
        return self._stiffness

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the springs."""
        return self._names

    @property
    def equivalent_stiffness(self) -> float:
        """k_eff = (sum 1/k_i)^-1, within three roundings."""
        return self._equivalent

    # Between a wall and a load

    def extensions(self, force: Annotated[Numbers, "*batch"]) -> Float[np.ndarray, "*batch springs"]:
        """Extension F / k_i of every spring under a force on the last node, shape (..., n)."""
        extensions: Float[np.ndarray, "*batch springs"] = finite("force", force)[..., None] / self._stiffness
        return extensions

    def force(
        self, total_extension: Annotated[Numbers, "*batch"]
    ) -> Float[np.ndarray, "*batch"] | np.float64:
        """Force k_eff x total extension that stretches the whole chain by that amount."""
        force: Float[np.ndarray, "*batch"] | np.float64 = (
            self._equivalent * finite("total_extension", total_extension)
        )[()]
        return force

    def energy(self, force: Annotated[Numbers, "*batch"]) -> Float[np.ndarray, "*batch"] | np.float64:
        """Energy F^2 / (2 k_eff) stored in the chain under a force on the last node.

        Parameters
        ----------
        force : array_like
            On the end of the chain.

        Returns
        -------
        float64 or ndarray
            Of the shape of `force`, in units of force times length.

        Examples
        --------
        >>> SpringChain([1, 3]).energy([0, 3])
        array([0., 6.])
        """
        f = finite("force", force)
        energy: Float[np.ndarray, "*batch"] | np.float64 = (f / self._equivalent * f / 2)[()]
        return energy

    def under_load(
        self,
        force: Annotated[Numbers, "*batch"],
        natural_lengths: Annotated[Numbers, "springs"] = 0.0,
    ) -> ChainState:
        r"""The chain between a wall and a force; an array of forces gives force-extension curves.

        Parameters
        ----------
        force : array_like, shape (...)
            Pull on the last node, away from the wall; negative pushes.
        natural_lengths : array_like, shape (n,) or ()
            Natural lengths of the springs, >= 0.

        Returns
        -------
        ChainState

        Raises
        ------
        ValueError, TypeError
            If an entry is not as described above.

        Examples
        --------
        >>> SpringChain([1, 3]).under_load([0, 3], natural_lengths=1).positions
        array([[0., 1., 2.],
               [0., 4., 6.]])
        """
        lengths, given = self._natural(natural_lengths), finite("force", force)
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
        r"""The chain between two fixed walls, with optional forces on its inner nodes.

        Parameters
        ----------
        distance : array_like, shape (...)
            Distance between the walls, >= 0. The springs are compressed if it is less than the sum of their
            natural lengths.
        natural_lengths : array_like, shape (n,) or ()
            Natural lengths of the springs, >= 0.
        pull : array_like, shape (..., n - 1), optional
            Force on each inner node, away from the first wall. Default: 0. Leading axes broadcast with those
            of `distance`.

        Returns
        -------
        ChainState
            ``tensions[..., 0]`` and ``tensions[..., -1]`` are the forces on the walls.

        Raises
        ------
        ValueError, TypeError
            If an entry or a shape is not as described above.

        Notes
        -----
        A force f on node p adds to the springs before it f times the share of the compliance behind it, and
        to those behind it -f times the share before it. Tension i is k_eff (distance - lengths) plus such
        terms, with an error of about n units in the last place of their magnitudes. O(n) per state.

        Examples
        --------
        The two-dataset mixture of sizes 3 and 1 is this chain: the node is at w_2 = 1/4.

        >>> SpringChain([3, 1]).between_walls(1).positions
        array([0.  , 0.25, 1.  ])
        >>> SpringChain([3, 1]).between_walls(1, pull=[[0], [2]]).tensions
        array([[0.75, 0.75],
               [2.25, 0.25]])
        """
        n = self._stiffness.size
        lengths = self._natural(natural_lengths)
        apart = finite("distance", distance)
        checks.nonnegative("distance", apart)
        forces = np.zeros(n - 1) if pull is None else finite("pull", pull)
        if forces.shape[-1:] != (n - 1,):
            raise ValueError(f"pull has shape {forces.shape}: must be (..., {n - 1}), one per inner node")
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
        r"""Natural angular frequencies of the undamped chain, in descending order.

        Parameters
        ----------
        masses : array_like, shape (nodes,) or ()
            Masses of the free nodes, finite and > 0.
        held : bool
            Whether a second wall holds the last node. Then there are n - 1 free nodes, otherwise n.

        Returns
        -------
        ndarray, shape (nodes,)
            In radians per unit of time.

        Raises
        ------
        ValueError, TypeError
            If a mass is not finite and > 0, or no node is free.

        Notes
        -----
        All have high relative accuracy, even if stiffnesses span eighteen decades. O(n^2); n = 1000 takes a
        tenth of a second.

        Examples
        --------
        >>> SpringChain([2, 2]).frequencies(held=True)
        array([2.])
        """
        from scipy import linalg

        found: Float[np.ndarray, "modes"] = linalg.svd(
            bidiagonal(self._stiffness, self._masses(masses, held)), compute_uv=False, lapack_driver="gesvd"
        )
        # A held node has no mode: its zero comes last.
        return found[: found.size - held]

    def simulate(
        self,
        times: Annotated[Numbers, "times"],
        *,
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
            Times >= 0, in any order. Motion starts at 0.
        masses : array_like, shape (nodes,) or ()
            Masses of the free nodes, finite and > 0.
        load : array_like, shape (nodes,) or ()
            Constant force on each free node; a single number is the force on the last one.
        mass_damping : float
            a >= 0, an inverse time: every node is slowed by the force a m_j u'_j.
        stiffness_damping : float
            b >= 0, a time: every spring has a parallel dashpot of viscosity b k_i.
        displacement, velocity : array_like, shape (nodes,) or ()
            Values at time 0; displacements are from the rest positions without load. Between walls these may
            be anywhere: pretension does not change the motion of linear springs.
        held : bool
            Whether a second wall holds the last node. Then there are n - 1 free nodes, otherwise n.
        integrate : bool
            As a check, solve the equations of motion by `scipy.integrate.solve_ivp` instead of in closed
            form: explicit (DOP853), or implicit (Radau) if the chain is stiff. It must follow every
            oscillation, so it suits chains with well damped fast modes, or short times.

        Returns
        -------
        ChainMotion

        Raises
        ------
        ValueError, TypeError
            If an entry is not as described above, or the motion of a mode leaves the range of float64.
        RuntimeError
            If the integration fails.

        Notes
        -----
        Proportional damping (Rayleigh 1877) keeps the modes of the undamped chain, so each is a separate
        damped oscillator and the closed form is exact. Errors are relative to the largest displacement,
        including that at rest; a mode of frequency w loses the digits of w t. O(n^3 + n^2 L); n = 1000 takes
        about a second. The damping is not general: there is one coefficient for all nodes and one for all
        springs.

        Examples
        --------
        >>> motion = SpringChain([4]).simulate([0, math.pi / 2, 40], load=8, mass_damping=0.8)
        >>> motion.displacements.round(3).ravel()
        array([0.   , 3.051, 2.   ])
        """
        at = finite("times", times)
        if at.ndim != 1 or at.size == 0:
            raise ValueError(f"times has shape {at.shape}: must be (L,), at least one")
        checks.nonnegative("times", at)
        m = self._masses(masses, held)
        given = finite("load", load)
        forces = per_unit("load", given, m.size) if given.ndim else np.append(np.zeros(m.size - 1), given)
        damping = []
        for name, value in (("mass_damping", mass_damping), ("stiffness_damping", stiffness_damping)):
            damping.append(finite(name, value))
            checks.nonnegative(name, damping[-1])
        a, b = map(float, damping)
        start = per_unit("displacement", finite("displacement", displacement), m.size)
        speed = per_unit("velocity", finite("velocity", velocity), m.size)
        with np.errstate(over="ignore", invalid="ignore"):
            if held:
                stretch = self.between_walls(0, pull=forces).extensions
            else:
                stretch = np.cumsum(forces[::-1])[::-1] / self._stiffness
            rest = np.cumsum(stretch)[: m.size]
        if not np.isfinite(rest).all():
            checks.fail_at(
                "rest", rest, ~np.isfinite(rest), "the load must keep it within the range of float64"
            )
        equation = Equation(self._stiffness, m, a, b, forces, stretch, rest, start, speed)
        moved = integrated(equation, at) if integrate else closed_form(equation, at)
        return ChainMotion(at, *moved, rest)

    def _natural(self, lengths: Numbers) -> Float[np.ndarray, "springs"]:
        array = finite("natural_lengths", lengths)
        checks.nonnegative("natural_lengths", array)
        return per_unit("natural_lengths", array, self._stiffness.size)

    def _masses(self, masses: Numbers, held: bool) -> Float[np.ndarray, "nodes"]:
        free = self._stiffness.size - bool(held)
        if not free:
            raise ValueError("held = True: one spring between two walls has no free node")
        return per_unit("masses", checks.positive("masses", masses), free)

    def __repr__(self) -> str:
        n = self._stiffness.size
        return f"SpringChain({n} spring{'s' * (n > 1)}, k_eff {self._equivalent:g})"


def _after_wall(positions: Float[np.ndarray, "*batch springs"]) -> Float[np.ndarray, "*batch nodes"]:
    return np.concatenate([np.zeros((*positions.shape[:-1], 1)), positions], axis=-1)
