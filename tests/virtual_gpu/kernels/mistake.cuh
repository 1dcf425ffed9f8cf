#ifdef IN_HEADER
__device__ float helper() { return undeclared_there; }
#endif
