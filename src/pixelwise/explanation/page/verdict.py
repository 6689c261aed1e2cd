"""Whether a map tells what matters: in words, from the numbers of a deletion."""

from dataclasses import dataclass
from statistics import fmean

from pixelwise.explanation.result import Deletion
from pixelwise.language import message

LEAST = 0.02
"""Mean difference of probability below which nothing is said."""
SHARE = 0.25
"""The share of deleted pixels that sentences quote, or the nearest one measured."""


@dataclass(frozen=True)
class Verdict:
    """A deletion in one line.

    The map tells what matters if deleting by it keeps the probability, in the mean over the shares,
    below that of every random order, and at least 0.02 below their mean.
    """

    share: float
    """Of the pixels, at which the probabilities are quoted."""
    before: float
    attended: float
    random: float
    """Mean of the random orders."""
    words: str

    @property
    def sentence(self) -> str:
        """What was done, what came out, and what it means."""
        return message(
            "Deleting the {share:.0f} % most attended pixels takes the probability"
            " from {before:.2f} to {attended:.2f}, deleting as many at random to"
            " {random:.2f}: {words}.",
            share=100 * self.share,
            before=self.before,
            attended=self.attended,
            random=self.random,
            words=self.words,
        )


def judge(deletion: Deletion) -> Verdict:
    """Compare the attended order with the random ones."""
    place = min(range(len(deletion.shares)), key=lambda i: abs(deletion.shares[i] - SHARE))
    attended = fmean(deletion.attended)
    random = [fmean(order) for order in deletion.random]
    if deletion.advantage >= LEAST and attended < min(random):
        words = message("the map tells what matters")
    elif deletion.advantage <= -LEAST and attended > max(random):
        words = message("worse than chance, the map does not tell what matters")
    else:
        words = message("no better than chance")
    return Verdict(
        share=deletion.shares[place],
        before=deletion.attended[0],
        attended=deletion.attended[place],
        random=fmean(order[place] for order in deletion.random),
        words=message(
            "{words} (advantage {round:+.2f})",
            words=words,
            round=round(deletion.advantage, 2) + 0.0,
        ),
    )
