"""Everything that the checks look at."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pixelwise.doctor.facts import MaskFacts, PairFacts, PictureFacts, Reading
from pixelwise.doctor.pairing import Listing, Pairs
from pixelwise.doctor.subject import Subject


@dataclass(frozen=True)
class Seen:
    """A data set after all its files were read.

    Args:
        subject: What its description says.
        pairs: Split -> which masks belong to which pictures.
        listings: Folder -> its files, as text.
        facts: Of each pair, and of each picture or mask that is alone.
        reading: How masks were read.
    """

    subject: Subject
    pairs: Mapping[str, Pairs]
    listings: Mapping[str, Listing]
    facts: Sequence[PairFacts]
    reading: Reading

    @property
    def splits(self) -> tuple[str, ...]:
        """In the order of the description."""
        return tuple(self.pairs)

    def pictures(
        self, which: Callable[[PictureFacts], object] = lambda _: True
    ) -> list[tuple[PairFacts, PictureFacts]]:
        """The pictures of which something is true."""
        return [(f, f.picture) for f in self.facts if f.picture is not None and which(f.picture)]

    def masks(
        self, which: Callable[[MaskFacts], object] = lambda _: True
    ) -> list[tuple[PairFacts, MaskFacts]]:
        """The masks of which something is true."""
        return [(f, f.mask) for f in self.facts if f.mask is not None and which(f.mask)]

    def of_split(self, split: str) -> Iterator[PairFacts]:
        """The facts of a split."""
        return (facts for facts in self.facts if facts.split == split)

    def picture_names(self, facts: Sequence[PairFacts]) -> tuple[str, ...]:
        """How pictures are told."""
        return tuple(self.subject.told(f.picture_name) for f in facts if f.picture_name)

    def mask_names(self, facts: Sequence[PairFacts]) -> tuple[str, ...]:
        """How masks are told."""
        return tuple(self.subject.told(f.mask_name) for f in facts if f.mask_name)
