"""Who fills the gaps of the test reviews? Our BERT beside counts of all the reviews that it was trained on.

    OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=2 python -m course_utils.weights.gaps_recipe

15 % of the tokens of all test reviews stand behind [MASK], the same for each reader. Writes gaps.csv; what is
done is kept in build/.
"""

import functools
from dataclasses import asdict
from pathlib import Path

from course_utils.weights import bert_recipe, recording

TABLE = Path(__file__).with_name("gaps.csv")
COUNTS = {"the commonest token": "unigram", "counts from both sides": "both sides"}


def main(folder: Path = Path("build")) -> None:
    """Score what the table doesn't hold yet."""
    table = recording.Table(folder / TABLE.name)
    scores = functools.cache(lambda: bert_recipe.baseline_scores("test"))
    for reader, name in COUNTS.items():
        table.row(lambda name=name: asdict(scores()[name]), reader=reader)
    table.row(lambda: asdict(bert_recipe.scored(bert_recipe.load(), "test")), reader="our BERT")
    recording.write_table(TABLE, table.rows)


if __name__ == "__main__":
    main()
