// compile for sm_90a
// Barriers and copies of NVIDIA's C++ library, as CubeCL writes them.
#include <cuda_fp16.h>
#include <cooperative_groups.h>
#include <cooperative_groups/memcpy_async.h>
#include <cuda/barrier>
#include <cuda/pipeline>
typedef unsigned int u32;
using barrier = cuda::barrier<cuda::thread_scope_block>;

// A block copies rows to shared memory and reverses them.
extern "C" __global__ void copy_by_block(const float* in, float* out, u32 rows) {
    __shared__ alignas(16) float tile[128];
    #pragma nv_diag_suppress static_var_with_dynamic_init
    __shared__ barrier done;
    cooperative_groups::thread_block block = cooperative_groups::this_thread_block();
    if (threadIdx.x == 0) init(&done, blockDim.x);
    __syncthreads();
    for (u32 row = 0; row < rows; row++) {
        cuda::memcpy_async(block, tile, in + row * 128, cuda::aligned_size_t<16>(512), done);
        done.arrive_and_wait();
        out[row * 128 + threadIdx.x] = tile[127 - threadIdx.x];
        block.sync();
    }
}

// Each thread copies for itself, and goes on to compute while the copies are under way.
extern "C" __global__ void copy_by_thread(const float* in, float* out) {
    __shared__ alignas(16) float tile[256];
    #pragma nv_diag_suppress static_var_with_dynamic_init
    __shared__ barrier done;
    if (threadIdx.x == 0) init(&done, blockDim.x);
    __syncthreads();
    cuda::memcpy_async(tile + 4 * threadIdx.x, in + 4 * threadIdx.x, cuda::aligned_size_t<16>(16), done);
    barrier::arrival_token token = done.arrive();
    float sum = 0;
    for (u32 at = 0; at < 10; at++) sum += at;
    done.wait(std::move(token));
    for (u32 at = threadIdx.x; at < 256; at += blockDim.x) out[at] = tile[255 - at] + sum;
}

// A tensor map, a box that arrives at a barrier, and one that is stored.
struct alignas(64) Map { unsigned long long words[16]; };
namespace cde = cuda::device::experimental;

extern "C" __global__ void box_by_library(const __grid_constant__ Map from, const __grid_constant__ Map to) {
    __shared__ alignas(128) float tile[8][32];
    #pragma nv_diag_suppress static_var_with_dynamic_init
    __shared__ barrier done;
    if (threadIdx.x == 0) {
        init(&done, blockDim.x);
        cde::fence_proxy_async_shared_cta();
    }
    __syncthreads();
    barrier::arrival_token token;
    if (threadIdx.x == 0) {
        cde::cp_async_bulk_tensor_2d_global_to_shared(&tile, (const CUtensorMap*)&from, 32, 8, done);
        token = cuda::device::barrier_arrive_tx(done, 1, sizeof(tile));
    } else {
        token = done.arrive();
    }
    done.wait(std::move(token));
    tile[threadIdx.x / 32][threadIdx.x % 32] *= 2;
    cde::fence_proxy_async_shared_cta();
    __syncthreads();
    if (threadIdx.x == 0) {
        cde::cp_async_bulk_tensor_2d_shared_to_global((const CUtensorMap*)&to, 32, 8, &tile);
        cde::cp_async_bulk_commit_group();
        cde::cp_async_bulk_wait_group_read<0>();
    }
}

// Bytes that the copy engine moves.
extern "C" __global__ void bytes_by_library(const float* in, float* out) {
    __shared__ alignas(16) float tile[256];
    #pragma nv_diag_suppress static_var_with_dynamic_init
    __shared__ barrier done;
    if (threadIdx.x == 0) init(&done, blockDim.x);
    __syncthreads();
    barrier::arrival_token token;
    if (threadIdx.x == 0) {
        cuda::device::memcpy_async_tx(tile, in, cuda::aligned_size_t<16>(1024), done);
        token = cuda::device::barrier_arrive_tx(done, 1, 1024);
    } else {
        token = done.arrive();
    }
    done.wait(std::move(token));
    for (u32 at = threadIdx.x; at < 256; at += blockDim.x) out[at] = tile[255 - at];
}
