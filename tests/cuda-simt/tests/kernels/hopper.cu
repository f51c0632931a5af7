// compile for sm_90a
// What compute capability 9.0 adds: mbarriers with bytes, tensor maps, elected lanes, stmatrix.
#include <cuda_fp16.h>
typedef unsigned int u32;
typedef unsigned long long u64;

struct alignas(64) Map { u64 words[16]; };

__device__ u32 shared_address(const void* p) { return (u32)__cvta_generic_to_shared(p); }

__device__ void wait_for(u32 barrier, u32 parity) {
    asm volatile("{\n .reg .pred done;\nagain:\n mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n @done bra over;\n bra again;\nover:\n}"
        :: "r"(barrier), "r"(parity) : "memory");
}

// Adds up boxes of 32 × 8 numbers along the first dimension, two stages deep: one lane copies, all compute.
extern "C" __global__ void boxes(const __grid_constant__ Map map, float* out, u32 count, u32 row) {
    __shared__ __align__(1024) float tile[2][8][32];
    __shared__ u64 full[2], empty[2];
    u32 thread = threadIdx.x;
    if (thread == 0) {
        for (int i = 0; i < 2; i++) {
            asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" :: "r"(shared_address(&full[i])), "r"(1));
            asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" :: "r"(shared_address(&empty[i])), "r"(blockDim.x));
        }
        asm volatile("fence.proxy.async.shared::cta;");
    }
    __syncthreads();
    auto fetch = [&](u32 number) {
        u32 stage = number % 2;
        if (number >= 2) wait_for(shared_address(&empty[stage]), (number / 2 - 1) % 2);
        u32 barrier = shared_address(&full[stage]);
        asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" :: "r"(barrier), "r"(1024));
        asm volatile("cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5}], [%2];"
            :: "r"(shared_address(tile[stage])), "l"(&map), "r"(barrier), "r"(number * 32), "r"(row), "r"(0) : "memory");
    };
    u32 leader;
    asm volatile("{\n .reg .pred p;\n elect.sync _|p, 0xffffffff;\n selp.u32 %0, 1, 0, p;\n}" : "=r"(leader));
    bool copies = thread < 32 && leader;
    if (copies) fetch(0);
    float sum = 0;
    for (u32 number = 0; number < count; number++) {
        if (copies && number + 1 < count) fetch(number + 1);
        u32 stage = number % 2;
        wait_for(shared_address(&full[stage]), number / 2 % 2);
        sum += tile[stage][thread / 32][thread % 32];
        asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" :: "r"(shared_address(&empty[stage])));
    }
    out[thread] = sum;
}

// A box with a swizzle of 128 bytes, read as it lies.
extern "C" __global__ void swizzled_box(const __grid_constant__ Map map, u32* out) {
    __shared__ __align__(1024) u32 tile[8][32];
    __shared__ u64 full;
    u32 thread = threadIdx.x, barrier = shared_address(&full);
    if (thread == 0) {
        asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" :: "r"(barrier));
        asm volatile("fence.mbarrier_init.release.cluster;");
        asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" :: "r"(barrier), "r"(1024));
        asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], [%2];"
            :: "r"(shared_address(tile)), "l"(&map), "r"(barrier), "r"(0), "r"(0) : "memory");
    }
    __syncthreads();
    wait_for(barrier, 0);
    for (u32 row = 0; row < 8; row++) out[row * 32 + thread] = tile[row][thread];
}

// cp.async whose end an mbarrier tells.
extern "C" __global__ void copies_with_mbarrier(const float* in, float* out) {
    __shared__ __align__(16) float tile[256];
    __shared__ u64 full;
    u32 thread = threadIdx.x, barrier = shared_address(&full);
    if (thread == 0) asm volatile("mbarrier.init.shared::cta.b64 [%0], 64;" :: "r"(barrier));
    __syncthreads();
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" :: "r"(shared_address(tile + 4 * thread)), "l"(in + 4 * thread));
    asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" :: "r"(barrier));
    wait_for(barrier, 0);
    for (u32 at = thread; at < 256; at += 64) out[at] = tile[255 - at];
}

// Transposes four tiles of 8 × 8 by storing their fragments transposed.
extern "C" __global__ void transpose(const u32* in, u32* out) {
    __shared__ __align__(16) u32 tile[4][8][4];
    u32 lane = threadIdx.x;
    u32 part[4];
    for (int i = 0; i < 4; i++) part[i] = in[i * 32 + lane];
    u32 row = shared_address(&tile[lane / 8][lane % 8][0]);
    asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1,%2,%3,%4};" :: "r"(row), "r"(part[0]), "r"(part[1]), "r"(part[2]), "r"(part[3]) : "memory");
    __syncwarp();
    for (int i = 0; i < 4; i++) out[i * 32 + lane] = (&tile[i][0][0])[lane];
}

// Stores a tile to a tensor.
extern "C" __global__ void store_box(const __grid_constant__ Map map) {
    __shared__ __align__(128) float tile[8][32];
    for (u32 row = 0; row < 8; row++) tile[row][threadIdx.x] = row * 100 + threadIdx.x;
    asm volatile("fence.proxy.async.shared::cta;");
    __syncthreads();
    if (threadIdx.x == 0) {
        asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group [%0, {%2, %3}], [%1];" :: "l"(&map), "r"(shared_address(tile)), "r"(4), "r"(2) : "memory");
        asm volatile("cp.async.bulk.commit_group;");
        asm volatile("cp.async.bulk.wait_group 0;" ::: "memory");
    }
}

// An mbarrier that nobody arrives at.
extern "C" __global__ void waits_for_ever(float* out) {
    __shared__ u64 full;
    u32 barrier = shared_address(&full);
    if (threadIdx.x == 0) asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" :: "r"(barrier));
    __syncthreads();
    wait_for(barrier, 0);
    out[threadIdx.x] = 1;
}
