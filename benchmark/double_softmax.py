"""The variant double-softmax of open_details.sh: a script with the categorical loss of the authors' released code.

    python benchmark/double_softmax.py qmle_continuous_multiseed.py runs/patched/qmle_continuous_multiseed.py

There the categorical predictor ends in a softmax, and the loss is a cross-entropy that applies one more. Here the same
change is made to a copy of a script, and to nothing else in it.
"""

import pathlib
import sys

BEFORE = "F.cross_entropy(logits.flatten(0, 1), nearest_bin("
AFTER = "F.cross_entropy(logits.softmax(-1).flatten(0, 1), nearest_bin("

if __name__ == "__main__":
    source, target = map(pathlib.Path, sys.argv[1:])
    text = source.read_text()
    if text.count(BEFORE) != 1:
        sys.exit(f"error: {source} has {text.count(BEFORE)} lines with {BEFORE!r}, expected one")
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_suffix(".tmp")  # a job of another launcher may be reading target
    temporary.write_text(text.replace(BEFORE, AFTER))
    temporary.replace(target)
