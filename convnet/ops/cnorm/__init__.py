"""Contrast normalization: the denominator measures how far the neighbours are from their local mean.

    m_i = x_i - mean of x_j, j in window(i)        (divided by the number of pixels that clipping leaves)
    d_i = min_div + alpha * sum of m_j^2, j in window(i)        y_i = x_i * d_i^-power

window(i): the `size` x `size` pixels that begin size // 2 above and left of pixel i, of the same map, clipped to the
image. An even size reaches one pixel further up and left. The numerator is x, not m.

    r_j = -2 * alpha * power * m_j * sum of dy_i * x_i * d_i^(-power-1), i with j in window(i)
    dx_i (+)= dy_i * d_i^-power + r_i - sum of r_j / (number of pixels in window(j)), j with i in window(j)

This is the gradient of the formula above. cuda-convnet's lacks the last term: it takes the local means for constants.

x, y, dx, dy: (n, y, x, channel). Nothing is kept between fprop and bprop.

    fprop(dev, x, y, norm)          bprop(dev, dy, x, dx, norm, *, accumulate)

norm: convnet.ops.rnorm.Normalization.

Source: cuda-convnet, layer type cnorm (convContrastNorm); the gradient is derived from the formula.
"""
