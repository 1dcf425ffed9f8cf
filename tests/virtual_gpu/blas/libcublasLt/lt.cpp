// libcublasLt.so.13: NVIDIA's bindings load it before cuBLAS; nothing of it is called.
#include <cstddef>

extern "C" std::size_t cublasLtGetVersion() { return 130000; }
