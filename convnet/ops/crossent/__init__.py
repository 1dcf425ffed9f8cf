"""Cross-entropy, a cost: how far probabilities are from targets that are numbers themselves.

For case i with the targets t = labels[i] and the probabilities q = probs[i]:

    fprop           values[i] = -sum_j t[j] log q[j], error
    bprop           dprobs[i, j] (+)= -coeff * t[j] / q[j]
    bprop_softmax   dx[i, j] (+)= coeff * (q[j] * sum_k t[k] - t[j]),   x the softmax's input

labels, probs: (n, k). values: (n, 2). Gradients are those of coeff times the cost, in the direction in which it grows;
`bprop_softmax` is `bprop` and the softmax's bprop in one, without the division. Targets that add up to 1 give the
familiar q - t; a case all of whose targets are 0, which has no label, gives no gradient.

q[j] is raised to the smallest normal number of its type before the logarithm and the division, as in ops/logreg. NaN
stays NaN.

The error is the share of the most probable classes (one, if there are no ties) that are not among the classes with the
largest target; 1 where no target is above 0 or a probability is NaN. For targets 1 and 0 that is cuda-convnet2's, for
one 1 it is also ops/logreg's.

On a GPU labels are float32, or of the type of the activations.

Source: cuda-convnet2, cost.crossent, of which the gradient is mended (with a softmax that only it reads it has none).
"""

from __future__ import annotations

from typing import Any


def check_targets(operation: str, targets: Any, outputs: Any, written: Any, expected: tuple[int, ...]) -> None:
    """Raises ValueError unless targets are like outputs, and what is written has the expected shape.

    For all costs with a target for each output, on any backend; `operation` names the one that is told of.
    """
    if targets.shape != outputs.shape or written.shape != expected:
        shapes = targets.shape, outputs.shape, written.shape
        raise ValueError(f"{operation}: targets, outputs and what is written of shapes {shapes} do not fit together")
