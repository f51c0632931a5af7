// compile for sm_80
// Threads, divergence, warps and blocks.
#include <cuda_fp16.h>
#include <cuda_bf16.h>

typedef unsigned int u32;

extern "C" __global__ void saxpy(float a, const float* x, float* y, u32 n) {
    u32 at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at < n) y[at] = a * x[at] + y[at];
}

// Steps of Collatz's sequence: every lane leaves its loop at another time.
extern "C" __global__ void collatz(const u32* starts, u32* steps, u32 n) {
    u32 at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= n) return;
    u32 value = starts[at], count = 0;
    while (value != 1) {
        if (value & 1) value = 3 * value + 1; else value >>= 1;
        count++;
    }
    steps[at] = count;
}

__device__ float warp_sum(float value) {
    for (int offset = 16; offset > 0; offset >>= 1) value += __shfl_xor_sync(0xffffffff, value, offset);
    return value;
}

// Softmax of rows, a block for each: shared memory, barriers, shuffles, exp.
extern "C" __global__ void softmax(const float* in, float* out, u32 columns) {
    __shared__ float partial[32];
    const float* row = in + blockIdx.x * columns;
    float most = __int_as_float(0xff800000);
    for (u32 at = threadIdx.x; at < columns; at += blockDim.x) most = fmaxf(most, row[at]);
    for (int offset = 16; offset > 0; offset >>= 1) most = fmaxf(most, __shfl_xor_sync(0xffffffff, most, offset));
    u32 warp = threadIdx.x / 32, lane = threadIdx.x % 32, warps = blockDim.x / 32;
    if (lane == 0) partial[warp] = most;
    __syncthreads();
    most = partial[0];
    for (u32 at = 1; at < warps; at++) most = fmaxf(most, partial[at]);
    __syncthreads();
    float sum = 0;
    for (u32 at = threadIdx.x; at < columns; at += blockDim.x) sum += expf(row[at] - most);
    sum = warp_sum(sum);
    if (lane == 0) partial[warp] = sum;
    __syncthreads();
    sum = 0;
    for (u32 at = 0; at < warps; at++) sum += partial[at];
    for (u32 at = threadIdx.x; at < columns; at += blockDim.x) out[blockIdx.x * columns + at] = expf(row[at] - most) / sum;
}

// What lanes learn of each other, also those that come by different ways.
extern "C" __global__ void lanes_together(u32* out) {
    u32 lane = threadIdx.x;
    u32* row = out + lane * 10;
    row[0] = __ballot_sync(0xffffffff, lane % 3 == 0);
    row[1] = __any_sync(0xffffffff, lane == 40) | __all_sync(0xffffffff, lane < 32) << 1;
    row[2] = __shfl_up_sync(0xffffffff, lane, 3);
    row[3] = __shfl_down_sync(0xffffffff, lane, 5, 8);
    row[4] = __shfl_sync(0xffffffff, lane * 7, lane ^ 1);
    row[5] = __reduce_add_sync(0xffffffff, lane);
    row[6] = __match_any_sync(0xffffffff, lane / 5);
    if (lane < 16) {
        row[7] = __shfl_xor_sync(0x0000ffff, lane, 1);
        row[8] = __activemask();
    } else {
        row[7] = __shfl_xor_sync(0xffff0000, lane + 100, 1);
        row[8] = 0;
    }
    __syncwarp();
    u32 mask = lane & 1 ? 0xaaaaaaaa : 0x55555555;
    row[9] = __reduce_max_sync(mask, lane);
}

extern "C" __global__ void votes_of_a_block(u32* out) {
    u32 thread = threadIdx.x;
    u32 count = __syncthreads_count(thread % 5 == 0);
    int all = __syncthreads_and(thread < 96), any = __syncthreads_or(thread == 95);
    out[thread] = count | all << 16 | any << 17;
}

extern "C" __global__ void histogram(const u32* values, u32* counts, u32 n) {
    __shared__ u32 own[16];
    if (threadIdx.x < 16) own[threadIdx.x] = 0;
    __syncthreads();
    for (u32 at = blockIdx.x * blockDim.x + threadIdx.x; at < n; at += gridDim.x * blockDim.x) atomicAdd(&own[values[at] % 16], 1);
    __syncthreads();
    if (threadIdx.x < 16) atomicAdd(&counts[threadIdx.x], own[threadIdx.x]);
}

// A table in memory of the module, local memory that is indexed, and a jump table.
__constant__ u32 table[8] = {3, 1, 4, 1, 5, 9, 2, 6};

extern "C" __global__ void spaces(u32* out) {
    u32 own[8];
    for (u32 at = 0; at < 8; at++) own[(at * 3 + threadIdx.x) % 8] = table[at] + threadIdx.x;
    u32 value = own[threadIdx.x % 8];
    switch (threadIdx.x % 6) {
        case 0: value += out[1]; break;
        case 1: value *= 11; break;
        case 2: value ^= 0x55; break;
        case 3: value = value << 3 | 1; break;
        case 4: value = __brev(value); break;
        default: value = __popc(value) + __clz(value);
    }
    out[threadIdx.x + 32] = value;
}

extern "C" __global__ void arithmetic(const float* in, float* out, u32* bits) {
    u32 at = threadIdx.x;
    float a = in[at], b = in[at + 32];
    float* row = out + at * 20;
    row[0] = a + b; row[1] = a - b; row[2] = a * b; row[3] = a / b;
    row[4] = __fmaf_rn(a, b, 1.5f); row[5] = __fadd_rz(a, b); row[6] = __fmul_rd(a, b); row[7] = __fdiv_ru(a, b);
    row[8] = sqrtf(fabsf(a)); row[9] = rsqrtf(fabsf(a)); row[10] = __expf(a); row[11] = logf(fabsf(a));
    row[12] = sinf(a); row[13] = tanhf(a); row[14] = erff(a); row[15] = fminf(a, b); row[16] = fmaxf(a, b);
    row[17] = floorf(a); row[18] = rintf(a); row[19] = (float)((double)a * (double)b + 1e-3);
    u32* word = bits + at * 12;
    __half ha = __float2half(a), hb = __float2half(b);
    __half2 pair = __floats2half2_rn(a, b);
    __nv_bfloat16 ba = __float2bfloat16(a), bb = __float2bfloat16(b);
    word[0] = __half_as_ushort(__hadd(ha, hb)); word[1] = __half_as_ushort(__hfma(ha, hb, ha));
    word[2] = *(u32*)&(pair = __hmul2(pair, pair)); word[3] = __bfloat16_as_ushort(__hmul(ba, bb));
    word[4] = __half_as_ushort(__float2half_rz(a)); word[5] = __bfloat16_as_ushort(__hfma(ba, bb, ba));
    word[6] = (u32)__float2int_rn(a); word[7] = __float2uint_rz(b); word[8] = __float_as_uint(__int2float_rz((int)(at * 123456789)));
    word[9] = __byte_perm(at * 0x01020304, at * 0x05060708, 0x6420); word[10] = __umulhi(at * 0x9e3779b9, 0x12345678);
    word[11] = (u32)((int)(at - 16) / 3) + __funnelshift_l(at, at * 7, 5);
}
