"""Matrix products of fully connected layers: n cases, i inputs, o outputs.

x, dx: (n, i); w, dw: (i, o), the shape cuda-convnet gives fc weights; y, dy: (n, o); bias: (o,) or None.

A backend gives
    fprop(dev, x, w, bias, y, *, accumulate, neuron)    y = f(x w [+ y] [+ bias])
    bprop_acts(dev, dy, w, dx, *, accumulate)           dx (+)= dy w'
    bprop_weights(dev, x, dy, dw, *, accumulate)        dw (+)= x' dy
The bias' gradient is the operation `bias`. A wrong shape raises ValueError.
"""
