"""The order of features in memory: from one to another.

Feature maps lie as (y, x, channel), plain features in feature order: channel slowest, then y, then x. Either array may
hold maps or plain features (maps = None), and the same features may be read as other maps on the other side: feature
number f is feature number f.

    convert(dev, src, src_maps, dst, dst_maps, *, accumulate)         dst (+)= src

src: (n, y, x, channel) of src_maps, or (n, feature). dst: likewise of dst_maps, with as many features.
"""
