"""Networks of several memory states: which one a network is in, and for how long.

A network that sits in one of its attractors for seconds has no one timescale: its units
remember their noise for as long as they do within a state, and which state they are in
for as long as it is kept. Both are told apart here. States are clusters of what the
network as a whole does, averaged over a tenth of a second, where a mixture of several
is likelier than one by far and they are apart by more than their own width.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy import linalg, stats
from threadpoolctl import threadpool_limits

from isotau.convert.ground.representation import short_repr

WINDOW, APART = 0.1, 1.0
"""Seconds: over which states are averaged, and between samples that count as others."""
AROUND, FAR = 2, 5.5
"""Windows to either side of a change that belong to no state; and from how many widths
of its state on a window belongs to none, such as on the way to it."""
DIRECTIONS, MOST = 3, 6
"""Principal components that are looked at, and states that are looked for."""
LIKELIER, DISTANT, SURE = 10.0, 3.0, 0.9
"""Gain in BIC that another state must bring; distance of two states in widths of them;
probability from which a state counts as left for another."""
ROUND = 13.8
"""Jarque and Bera's statistic below which samples of a component are one cluster: of a
Gaussian it is larger once in a thousand times."""
DIGITS = 6
"""Of components, in SDs of the first, beyond which samples are the same."""
STRANGE = 0.02
"""Share of the time in none of the states from which others are looked for."""
RARE, KEPT = 1e-3, 4
"""Share of the time, and windows that it is kept, below which a state is none."""


@short_repr
class WithinStates(NamedTuple):
    """What units do within the memory states of their network.

    Attributes:
        x: about the mean of the memory state; 0 around a change.
        seen: which samples are around none.
    """

    x: Float64[np.ndarray, "samples trials n"]
    seen: Bool[np.ndarray, "samples trials"]


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MemoryModel:
    """Memory states of a network, and how they are told apart.

    Attributes:
        means: of every unit in each state; state × unit.
        centre: of what the principal components are taken.
        vectors: that give them; unit × component.
        mixture: of Gaussians, one a state; None for a single one.
    """

    means: Float64[np.ndarray, "states n"]
    centre: Float64[np.ndarray, " n"]
    vectors: Float64[np.ndarray, "n components"]
    mixture: Any = None

    @property
    def count(self) -> int:
        """How many states there are."""
        return len(self.means)

    def knows(
        self, x: Float64[np.ndarray, "samples trials n"], interval: float
    ) -> bool:
        """Return whether a network is nearly always in one of several states."""
        if self.count == 1:
            return False
        return bool((self.labels(x, interval) < 0).mean() < STRANGE)

    def labels(
        self, x: Float64[np.ndarray, "samples trials n"], interval: float
    ) -> Int64[np.ndarray, "windows trials"]:
        """Return in which state the network is, window by window; -1 is in none.

        Each is kept until another one is sure.
        """
        parts = in_windows(x, interval)
        if self.mixture is None:
            return np.zeros(parts.shape[:2], dtype=np.int64)
        y = (parts - self.centre) @ self.vectors
        with threadpool_limits(1):  # small matrices
            sure = self.mixture.predict_proba(y.reshape(-1, y.shape[-1]))
        sure = sure.reshape(*y.shape[:2], -1)
        labels, doubtful = sure.argmax(axis=-1), sure.max(axis=-1) < SURE
        for t in range(1, len(labels)):
            labels[t] = np.where(doubtful[t], labels[t - 1], labels[t])
        away = y - self.mixture.means_[labels]
        shape = self.mixture.precisions_cholesky_[labels]
        widths = np.linalg.norm(np.einsum("tbi,tbij->tbj", away, shape), axis=-1)
        return np.where(widths < FAR, labels, -1).astype(np.int64)

    def within(
        self,
        x: Float64[np.ndarray, "samples trials n"],
        labels: Int64[np.ndarray, "windows trials"],
    ) -> WithinStates:
        """Return states about the mean of the memory state that they are in."""
        if self.count == 1:
            return WithinStates(x, np.ones(x.shape[:2], dtype=bool))
        inner = x - self.means[_sampled(labels, len(x))]
        changed = labels < 0
        for t, trial in np.argwhere(labels[1:] != labels[:-1]):
            changed[max(0, t + 1 - AROUND) : t + 1 + AROUND, trial] = True
        seen = ~_sampled(changed, len(x))
        inner[~seen] = 0.0
        return WithinStates(inner, seen)


@dataclass(frozen=True, kw_only=True, slots=True)
class Switching:
    """How long memory states are kept.

    Attributes:
        states: that the network visits.
        switches: how often one was left for another.
        seconds: that were looked at, of all trials.
        between: share of the units' variance that lies between states, the median.
    """

    states: int = 1
    switches: int = 0
    seconds: float = 0.0
    between: float = 0.0

    @property
    def dwell(self) -> float:
        """Seconds for which a state is kept, on average; infinite if none was left."""
        return self.seconds / self.switches if self.switches else np.inf

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Return the ends of the interval of `dwell`: of Poisson counts, (A7)."""
        tail = (1 - confidence) / 2
        most = stats.chi2.ppf(1 - tail, 2 * self.switches + 2) / 2
        least = stats.chi2.ppf(tail, 2 * self.switches) / 2 if self.switches else 0.0
        return self.seconds / most, self.seconds / least if least else np.inf

    def plus(self, other: "Switching") -> "Switching":
        """Return both together."""
        total = self.seconds + other.seconds
        share = self.seconds / total if total else 0.0
        return Switching(
            states=max(self.states, other.states),
            switches=self.switches + other.switches,
            seconds=total,
            between=share * self.between + (1 - share) * other.between,
        )


def find_memory_states(
    x: Float64[np.ndarray, "samples trials n"], interval: float
) -> MemoryModel:
    """Return which states a run of a network visits.

    Args:
        x: its states.
        interval: seconds between two samples.
    """
    # Heavy, and needed by nothing else.
    from sklearn.mixture import GaussianMixture

    parts = in_windows(x, interval)
    centre, vectors = _components(parts)
    one = MemoryModel(means=x.mean(axis=(0, 1))[None], centre=centre, vectors=vectors)
    if not vectors.size:
        return one
    y = (parts - centre) @ vectors
    # Samples close in time say the same: only some of them count as evidence.
    stride = max(1, min(round(APART / WINDOW), len(y)))
    seen = y[::stride].reshape(-1, y.shape[-1])
    if (stats.jarque_bera(seen, axis=0).statistic < ROUND).all():
        return one
    # Trials that are all alike have few samples that differ.
    distinct = len(np.unique(seen.round(DIGITS), axis=0))
    best, score = None, np.inf
    with threadpool_limits(1):  # small matrices
        for count in range(1, min(MOST, distinct // 10) + 1):
            mixture = GaussianMixture(count, n_init=2, random_state=0, reg_covar=1e-4)
            bic = mixture.fit(seen).bic(seen)
            # What fits better and is no cluster of its own is the shape of one, and
            # what is left at once is the way from one to another.
            if bic < score - LIKELIER and _are_apart(mixture):
                labels = mixture.predict(y.reshape(-1, y.shape[-1]))
                if _are_kept(labels.reshape(y.shape[:2]), count):
                    best, score = mixture, bic
    if best is None or best.n_components == 1:
        return one
    model = MemoryModel(means=best.means_, centre=centre, vectors=vectors, mixture=best)
    labels = _sampled(model.labels(x, interval), len(x))
    means = [
        x[labels == k].mean(axis=0) if (labels == k).any() else one.means[0]
        for k in range(best.n_components)
    ]
    return MemoryModel(
        means=np.stack(means), centre=centre, vectors=vectors, mixture=best
    )


def switching(
    x: Float64[np.ndarray, "samples trials n"],
    inner: WithinStates,
    labels: Int64[np.ndarray, "windows trials"],
    interval: float,
) -> Switching:
    """Return how long the states of one run are kept.

    Args:
        x: what the units did.
        inner: the same about the mean of their memory state.
        labels: which that is, window by window.
        interval: seconds between two samples.
    """
    seen = max(1, int(inner.seen.sum()))
    total, left = x.var(axis=(0, 1)), np.square(inner.x).sum(axis=(0, 1)) / seen
    share = 1 - left[total > 0] / total[total > 0]
    states = len(np.unique(labels[labels >= 0]))
    return Switching(
        states=states,
        switches=_changes(labels),
        seconds=x.shape[0] * x.shape[1] * interval,
        between=float(np.median(share)) if states > 1 and share.size else 0.0,
    )


def _changes(labels: Int64[np.ndarray, "windows trials"]) -> int:
    """Return how often a state was left for another, whatever lies between."""
    changes = 0
    for course in labels.T:
        visited = course[course >= 0]
        changes += int((visited[1:] != visited[:-1]).sum())
    return changes


def in_windows(
    x: Float64[np.ndarray, "samples trials n"], interval: float
) -> Float64[np.ndarray, "windows trials n"]:
    """Return means over windows; what is left over at the end has no window."""
    size = max(1, min(round(WINDOW / interval), len(x)))
    windows = len(x) // size
    parts = x[: windows * size].reshape(windows, size, *x.shape[1:])
    return np.asarray(parts.mean(axis=1))


def _sampled(windows: np.ndarray, samples: int) -> np.ndarray:
    """Return what holds in windows, sample by sample; the last holds to the end."""
    size = max(1, samples // len(windows))
    index = np.minimum(np.arange(samples) // size, len(windows) - 1)
    return np.asarray(windows[index])


def _components(
    parts: Float64[np.ndarray, "windows trials n"],
) -> tuple[np.ndarray, np.ndarray]:
    """Return a centre, and vectors that give components in SDs of the first.

    None of these if nothing moves.
    """
    flat = parts.reshape(-1, parts.shape[-1])
    centre = flat.mean(axis=0)
    flat = flat - centre
    n = flat.shape[1]
    first = max(0, n - DIRECTIONS)
    values, vectors = linalg.eigh(
        flat.T @ flat / len(flat), subset_by_index=(first, n - 1)
    )
    if values[-1] <= 0:
        return centre, np.zeros((n, 0))
    return centre, vectors[:, ::-1] / np.sqrt(values[-1])


def _are_kept(labels: Int64[np.ndarray, "windows trials"], count: int) -> bool:
    """Return whether each of so many states is one, and kept for some windows."""
    begins = np.ones(labels.shape, dtype=bool)
    begins[1:] = labels[1:] != labels[:-1]
    inside = np.bincount(labels.reshape(-1), minlength=count)
    runs = np.bincount(labels[begins], minlength=count)
    return bool((inside >= KEPT * runs).all() and (inside > RARE * labels.size).all())


def _are_apart(mixture: Any) -> bool:
    """Return whether states are clusters: no two nearer than some widths of them."""
    means, covariances = mixture.means_, mixture.covariances_
    for a in range(len(means)):
        for b in range(a):
            line = means[a] - means[b]
            length = float(np.linalg.norm(line))
            unit = line / length
            widths = [unit @ covariances[k] @ unit for k in (a, b)]
            # Ashman's D: two of equal width are two peaks from 2 on.
            if length < DISTANT * np.sqrt(np.mean(widths)):
                return False
    return True
