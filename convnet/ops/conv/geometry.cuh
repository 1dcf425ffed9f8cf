// A ConvGeometry and the number of cases, as `pack` of cuda_geometry.py gives them.
#pragma once

struct Geometry {
    int cases, height, width, channels, filters, size, padding, stride, groups, modules_y, modules_x;

    __device__ __forceinline__ int filter_channels() const { return channels / groups; }
    __device__ __forceinline__ int group_filters() const { return filters / groups; }
};
