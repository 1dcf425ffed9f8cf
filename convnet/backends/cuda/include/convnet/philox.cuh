// Philox4x32-10: four random words of 32 bits from a counter and a key; the same numbers as convnet.philox.
//
// Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 3.3.
#pragma once

struct Philox {
    unsigned word[4];
};

__device__ __forceinline__ Philox philox(unsigned c0, unsigned c1, unsigned c2, unsigned c3, unsigned k0, unsigned k1) {
#pragma unroll
    for (int round = 0; round < 10; ++round) {
        const unsigned long long even = c0 * 0xD2511F53ull, odd = c2 * 0xCD9E8D57ull;
        c0 = static_cast<unsigned>(odd >> 32) ^ c1 ^ k0;
        c1 = static_cast<unsigned>(odd);
        c2 = static_cast<unsigned>(even >> 32) ^ c3 ^ k1;
        c3 = static_cast<unsigned>(even);
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return {{c0, c1, c2, c3}};
}
