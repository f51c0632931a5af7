// compile for sm_80
// Matrix products by wmma and mma, with ldmatrix and asynchronous copies.
#include <cuda_fp16.h>
#include <cuda_bf16.h>
#include <mma.h>
using namespace nvcuda;
typedef unsigned int u32;

// One warp: d = a · b + c of one tile, a by rows, b by columns.
template <typename T, typename Acc, int M, int N, int K>
__device__ void tile(const T* a, const T* b, const Acc* c, Acc* d) {
    wmma::fragment<wmma::matrix_a, M, N, K, T, wmma::row_major> fa;
    wmma::fragment<wmma::matrix_b, M, N, K, T, wmma::col_major> fb;
    wmma::fragment<wmma::accumulator, M, N, K, Acc> fc;
    wmma::load_matrix_sync(fa, a, K);
    wmma::load_matrix_sync(fb, b, K);
    wmma::load_matrix_sync(fc, c, N, wmma::mem_row_major);
    wmma::mma_sync(fc, fa, fb, fc);
    wmma::store_matrix_sync(d, fc, N, wmma::mem_row_major);
}

extern "C" __global__ void wmma_f16(const half* a, const half* b, const float* c, float* d) { tile<half, float, 16, 16, 16>(a, b, c, d); }
extern "C" __global__ void wmma_f16_tall(const half* a, const half* b, const float* c, float* d) { tile<half, float, 32, 8, 16>(a, b, c, d); }
extern "C" __global__ void wmma_f16_wide(const half* a, const half* b, const float* c, float* d) { tile<half, float, 8, 32, 16>(a, b, c, d); }
extern "C" __global__ void wmma_f16_sum(const half* a, const half* b, const half* c, half* d) { tile<half, half, 16, 16, 16>(a, b, c, d); }
extern "C" __global__ void wmma_bf16(const __nv_bfloat16* a, const __nv_bfloat16* b, const float* c, float* d) { tile<__nv_bfloat16, float, 16, 16, 16>(a, b, c, d); }
extern "C" __global__ void wmma_bf16_tall(const __nv_bfloat16* a, const __nv_bfloat16* b, const float* c, float* d) { tile<__nv_bfloat16, float, 32, 8, 16>(a, b, c, d); }
extern "C" __global__ void wmma_bf16_wide(const __nv_bfloat16* a, const __nv_bfloat16* b, const float* c, float* d) { tile<__nv_bfloat16, float, 8, 32, 16>(a, b, c, d); }

extern "C" __global__ void wmma_tf32(const float* a, const float* b, const float* c, float* d) {
    wmma::fragment<wmma::matrix_a, 16, 16, 8, wmma::precision::tf32, wmma::row_major> fa;
    wmma::fragment<wmma::matrix_b, 16, 16, 8, wmma::precision::tf32, wmma::col_major> fb;
    wmma::fragment<wmma::accumulator, 16, 16, 8, float> fc;
    wmma::load_matrix_sync(fa, a, 8);
    wmma::load_matrix_sync(fb, b, 8);
    wmma::load_matrix_sync(fc, c, 16, wmma::mem_col_major);
    for (int i = 0; i < fa.num_elements; i++) fa.x[i] = wmma::__float_to_tf32(fa.x[i]);
    for (int i = 0; i < fb.num_elements; i++) fb.x[i] = wmma::__float_to_tf32(fb.x[i]);
    wmma::mma_sync(fc, fa, fb, fc);
    wmma::store_matrix_sync(d, fc, 16, wmma::mem_col_major);
}

// Accumulators are cast from one type to another element by element, in fragments.
extern "C" __global__ void wmma_cast(const half* a, const half* b, half* d) {
    wmma::fragment<wmma::matrix_a, 16, 16, 16, half, wmma::row_major> fa;
    wmma::fragment<wmma::matrix_b, 16, 16, 16, half, wmma::row_major> fb;
    wmma::fragment<wmma::accumulator, 16, 16, 16, float> sum;
    wmma::fragment<wmma::accumulator, 16, 16, 16, half> small;
    wmma::fill_fragment(sum, 0.5f);
    wmma::load_matrix_sync(fa, a, 16);
    wmma::load_matrix_sync(fb, b, 16);
    wmma::mma_sync(sum, fa, fb, sum);
    for (int i = 0; i < sum.num_elements; i++) small.x[i] = __float2half(sum.x[i]);
    wmma::store_matrix_sync(d, small, 16, wmma::mem_row_major);
}

// c = a · b of 16 × 8 × 16 with fragments filled by hand after the PTX reference.
extern "C" __global__ void mma_f16(const half* a, const half* b, float* c) {
    u32 lane = threadIdx.x, group = lane / 4, thread = lane % 4;
    u32 fa[4], fb[2];
    float fc[4] = {0, 0, 0, 0};
    const u32* rows = (const u32*)a;  // pairs
    fa[0] = rows[group * 8 + thread]; fa[1] = rows[(group + 8) * 8 + thread];
    fa[2] = rows[group * 8 + thread + 4]; fa[3] = rows[(group + 8) * 8 + thread + 4];
    const u32* columns = (const u32*)b;  // b by columns: column × 16
    fb[0] = columns[group * 8 + thread]; fb[1] = columns[group * 8 + thread + 4];
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(fc[0]), "+f"(fc[1]), "+f"(fc[2]), "+f"(fc[3]) : "r"(fa[0]), "r"(fa[1]), "r"(fa[2]), "r"(fa[3]), "r"(fb[0]), "r"(fb[1]));
    c[group * 8 + 2 * thread] = fc[0]; c[group * 8 + 2 * thread + 1] = fc[1];
    c[(group + 8) * 8 + 2 * thread] = fc[2]; c[(group + 8) * 8 + 2 * thread + 1] = fc[3];
}

extern "C" __global__ void mma_tf32(const float* a, const float* b, float* c) {
    u32 lane = threadIdx.x, group = lane / 4, thread = lane % 4;
    u32 fa[4], fb[2];
    float fc[4] = {0, 0, 0, 0};
    #define TF32(to, from) asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(to) : "f"(from))
    TF32(fa[0], a[group * 8 + thread]); TF32(fa[1], a[(group + 8) * 8 + thread]);
    TF32(fa[2], a[group * 8 + thread + 4]); TF32(fa[3], a[(group + 8) * 8 + thread + 4]);
    TF32(fb[0], b[thread * 8 + group]); TF32(fb[1], b[(thread + 4) * 8 + group]);
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(fc[0]), "+f"(fc[1]), "+f"(fc[2]), "+f"(fc[3]) : "r"(fa[0]), "r"(fa[1]), "r"(fa[2]), "r"(fa[3]), "r"(fb[0]), "r"(fb[1]));
    c[group * 8 + 2 * thread] = fc[0]; c[group * 8 + 2 * thread + 1] = fc[1];
    c[(group + 8) * 8 + 2 * thread] = fc[2]; c[(group + 8) * 8 + 2 * thread + 1] = fc[3];
}

__device__ u32 shared_address(const void* p) { return (u32)__cvta_generic_to_shared(p); }

// c = a · b with tiles of 32 × 32 × 32 in shared memory: cp.async in two stages, ldmatrix, mma. Edges are masked.
// SKIP_WAIT, SKIP_MASK, SHIFT and STRIDE plant errors, for tests that have to notice them.
template <bool SKIP_WAIT, bool SKIP_MASK, int SHIFT, int STRIDE>
__device__ void gemm(const half* a, const half* b, float* c, u32 m, u32 n, u32 k) {
    __shared__ __align__(16) half tile_a[2][32][40];
    __shared__ __align__(16) half tile_b[2][32][40];
    u32 thread = threadIdx.x, lane = thread % 32, warp = thread / 32;
    u32 row0 = blockIdx.y * 32, column0 = blockIdx.x * 32;
    float sum[2][4] = {};
    auto fetch = [&](u32 stage, u32 k0) {
        u32 row = thread / 4, part = thread % 4 * 8;
        u32 real_a = row0 + row < m && k0 + part < k || SKIP_MASK ? 16 : 0;
        u32 real_b = k0 + row < k && column0 + part < n || SKIP_MASK ? 16 : 0;
        const half* from_a = real_a ? a + (row0 + row) * k + k0 + part : a;
        const half* from_b = real_b ? b + (k0 + row) * n + column0 + part : b;
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" :: "r"(shared_address(&tile_a[stage][row][part])), "l"(from_a), "r"(real_a));
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" :: "r"(shared_address(&tile_b[stage][row][part])), "l"(from_b), "r"(real_b));
        asm volatile("cp.async.commit_group;");
    };
    fetch(0, 0);
    u32 stages = (k + 31) / 32;
    for (u32 stage = 0; stage < stages; stage++) {
        if (stage + 1 < stages) {
            fetch((stage + 1) % 2, (stage + 1) * 32);
            if (!SKIP_WAIT) asm volatile("cp.async.wait_group 1;");
        } else {
            asm volatile("cp.async.wait_group 0;");
        }
        __syncthreads();
        // Warp w: rows 16 (w / 2) to + 16, columns 16 (w mod 2) to + 16.
        u32 r0 = warp / 2 * 16, c0 = warp % 2 * 16;
        for (u32 k0 = 0; k0 < 32; k0 += 16) {
            u32 fa[4], fb[4];
            u32 at = shared_address(&tile_a[stage % 2][r0 + lane % 16][k0 + lane / 16 * 8]);
            asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(fa[0]), "=r"(fa[1]), "=r"(fa[2]), "=r"(fa[3]) : "r"(at));
            at = shared_address(&tile_b[stage % 2][k0 + lane % 16][c0 + lane / 16 * 8]);
            asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(fb[0]), "=r"(fb[1]), "=r"(fb[2]), "=r"(fb[3]) : "r"(at));
            for (int half_ = 0; half_ < 2; half_++)
                asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                    : "+f"(sum[half_][0]), "+f"(sum[half_][1]), "+f"(sum[half_][2]), "+f"(sum[half_][3])
                    : "r"(fa[0]), "r"(fa[1]), "r"(fa[2]), "r"(fa[3]), "r"(fb[2 * half_]), "r"(fb[2 * half_ + 1]));
        }
        __syncthreads();
    }
    for (int half_ = 0; half_ < 2; half_++)
        for (int i = 0; i < 4; i++) {
            u32 row = row0 + warp / 2 * 16 + lane / 4 + i / 2 * 8, column = column0 + warp % 2 * 16 + half_ * 8 + lane % 4 * 2 + i % 2 + SHIFT;
            if (row < m && column < n) c[row * (n + STRIDE) + column] = sum[half_][i];
        }
}

extern "C" __global__ void gemm_right(const half* a, const half* b, float* c, u32 m, u32 n, u32 k) { gemm<false, false, 0, 0>(a, b, c, m, n, k); }
extern "C" __global__ void gemm_without_wait(const half* a, const half* b, float* c, u32 m, u32 n, u32 k) { gemm<true, false, 0, 0>(a, b, c, m, n, k); }
extern "C" __global__ void gemm_without_mask(const half* a, const half* b, float* c, u32 m, u32 n, u32 k) { gemm<false, true, 0, 0>(a, b, c, m, n, k); }
extern "C" __global__ void gemm_shifted(const half* a, const half* b, float* c, u32 m, u32 n, u32 k) { gemm<false, false, 1, 0>(a, b, c, m, n, k); }
extern "C" __global__ void gemm_wrong_stride(const half* a, const half* b, float* c, u32 m, u32 n, u32 k) { gemm<false, false, 0, 1>(a, b, c, m, n, k); }

// Planted errors of other kinds.
extern "C" __global__ void sums_without_barrier(const float* in, float* out) {
    __shared__ float part[64];
    part[threadIdx.x] = in[threadIdx.x];
    out[threadIdx.x] = part[63 - threadIdx.x];
}

extern "C" __global__ void barrier_that_half_reach(float* out) {
    if (threadIdx.x < 32) {
        asm volatile("bar.sync 1, 64;");
        out[0] = 1;
    } else {
        asm volatile("bar.sync 2, 64;");
    }
}
