"""Multinomial logistic regression, a cost: what the net says about the right class.

For case i with the class l = labels[i, 0], the probabilities p = probs[i], smoothing s, and the targets
t[j] = (1 - s) * (1 where j = l, else 0) + s / k, which are those of the label itself for s = 0:

    fprop           values[i] = -sum_j t[j] log p[j], top-1 error, top-k error
    bprop           dprobs[i, j] (+)= -coeff * t[j] / p[j]
    bprop_softmax   dx[i, j] (+)= coeff * (p[j] - t[j]),   x the softmax's input

labels: (n, 1), whole numbers from 0. probs: (n, k). values: (n, 3). Gradients are those of coeff times the cost, in the
direction in which it grows; `bprop_softmax` is `bprop` and the softmax's bprop in one, without the division.

p[j] is raised to the smallest normal number of its type before the logarithm and the division, so a probability of zero
gives a large cost and not an infinite one. NaN stays NaN; with s = 0 only p[l] counts.

Ties. Let `greater` and `equal` classes have a probability greater than and equal to p[l] (l itself is one of the
equal). Of the k best places k - greater are left, and l gets one of them with probability (k - greater) / equal, cut to
0..1. The error is 1 minus this; with k = 1 it is 1 - 1/equal when nothing is greater. If p[l] is NaN the errors are 1.

A label outside 0..k-1 gives NaN in all three values and is the class of no column in the gradients.

Sources: cuda-convnet2, cost.logreg (the treatment of ties in particular); Szegedy et al., "Rethinking the Inception
architecture for computer vision", 2016, section 7 (smoothing).
"""


def targets(classes: int, smoothing: float) -> tuple[float, float]:
    """The target of the label's class and that of every other."""
    others = smoothing / classes
    return 1 - smoothing + others, others
