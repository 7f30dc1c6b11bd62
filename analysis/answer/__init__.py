"""What a study says, as numbers: contrasts, effects, noise, the choice on dev; the report words it.

Must not know: figures, pages, trackers.
"""

from analysis.answer.compose import Answer, answer
from analysis.answer.contrasts import UNKNOWN, Compared, Planned
from analysis.answer.effects import Crossing
from analysis.answer.scores import TERCILES

__all__ = ["TERCILES", "UNKNOWN", "Answer", "Compared", "Crossing", "Planned", "answer"]
