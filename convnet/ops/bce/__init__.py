"""Binary cross-entropy, a cost: each number is the probability of a yes, whatever the others say.

For case i with the targets t = labels[i] (1 yes, 0 no) and the probabilities q = probs[i], w = pos_weight:

    fprop           values[i] = -sum_j (w t[j] log q[j] + (1 - t[j]) log(1 - q[j])), wrong, top-1 error
    fprop_counts    values[i] = the same cost, wrong, k times declared, k times positive, k times true positive
    bprop           dprobs[i, j] (+)= coeff * ((1 - t[j]) / (1 - q[j]) - w t[j] / q[j])
    bprop_logistic  dx[i, j] (+)= coeff * ((1 - t[j]) q[j] - w t[j] (1 - q[j])),   x the logistic neuron's input

labels, probs: (n, k). values: (n, 3), for `fprop_counts` (n, 2 + 3k). Gradients are those of coeff times the cost, in
the direction in which it grows; `bprop_logistic` is `bprop` and the neuron's bprop in one, without the divisions.

Probabilities above 1/2 are declared positive, targets above 1/2 are positive, and what is both is truly positive: each
count is 1 or 0. `wrong` is the share of the k numbers where declared and positive differ, or that are NaN. The top-1
error is ops/crossent's error.

q[j] and 1 - q[j] are raised to the smallest normal number of their type before logarithms and divisions, as in
ops/logreg. NaN stays NaN. On a GPU labels are float32, or of the type of the activations.

Source: cuda-convnet2, cost.bce and cost.dce.
"""
