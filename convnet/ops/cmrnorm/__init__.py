"""Response normalization over neighbouring maps: local response normalization.

    d_c = min_div + alpha * sum of x_f^2, f in window(c)        y_c = x_c * d_c^-power

at every pixel by itself. window(c): the `size` channels that begin size // 2 before c, clipped to the channels that
exist; an even size reaches one channel further down. With `blocked`, the channels are cut into blocks of `size` (the
last one may be shorter) and the window of c is its block.

    dx_c (+)= dy_c * d_c^-power - 2 * alpha * power * x_c * sum of dy_f * x_f * d_f^(-power-1), f with c in window(f)

x, y, dx, dy: (n, y, x, channel). The denominators d are not kept between fprop and bprop but computed again.

    fprop(dev, x, y, norm)          bprop(dev, dy, x, dx, norm, *, accumulate)

norm: convnet.ops.rnorm.Normalization.

Source: cuda-convnet, layer type cmrnorm (convResponseNormCrossMap); Krizhevsky et al., "ImageNet Classification with
Deep Convolutional Neural Networks", 2012, section 3.3.
"""
