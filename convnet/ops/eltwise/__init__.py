"""Operations on arrays of one shape, element by element.

    scale       y (+)= coeff * x                            its gradient is itself: dx (+)= coeff * dy
    fprop_sum   y = the sum of coeffs[i] * xs[i]            one or more inputs, added in the order given
    fprop_max   y = the largest of two or more inputs       NaN if one of them is NaN
    bprop_max   dx (+)= dy where x equals y                 every input equal to the maximum receives the full dy

    scale(dev, x, y, *, coeff, accumulate)
    fprop_sum(dev, xs, y, *, coeffs)                        its gradient is scale, once for each input
    fprop_max(dev, xs, y)
    bprop_max(dev, dy, x, y, dx, *, accumulate)             one call for each input x, with its dx

Source: cuda-convnet, layer types eltsum and eltmax.
"""
