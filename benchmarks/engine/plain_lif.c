/* The fixed-point step as one writes it down: one spike at a time, int32 throughout.
 *
 * Two recurrent connections, rows of weights presynaptic; no noise, no inputs. What
 * is under way in the connections is handed in and out as `ring`, batch × n.
 */
#include <stdint.h>
#include <string.h>

#define M (1 << 23)

static int32_t decay(int32_t x, int32_t keep) {
    int64_t product = (int64_t)x * keep;
    return (int32_t)(product < 0 ? -(-product >> 12) : product >> 12);
}

static int32_t shifted(int32_t x, int32_t exponent) {
    return exponent >= 0 ? (int32_t)((uint32_t)x << exponent) : x >> -exponent;
}

void run(int32_t n, int32_t n_excitatory, int32_t steps, int32_t batch,
         const int32_t *weights, const int32_t *exponents, const int32_t *keep_u,
         const int32_t *keep_v, const int32_t *bias, const int32_t *threshold,
         int32_t *us, int32_t *vs, int32_t *ring, int32_t *sums, uint8_t *bits) {
    int32_t width = (n + 7) / 8;
    for (int32_t trial = 0; trial < batch; trial++) {
        int32_t *u = us + (int64_t)trial * n, *v = vs + (int64_t)trial * n;
        int32_t *a = ring + (int64_t)trial * n;
        for (int32_t t = 0; t < steps; t++) {
            uint8_t *out = bits + ((int64_t)t * batch + trial) * width;
            memset(out, 0, width);
            memset(sums, 0, 2 * n * sizeof(int32_t));
            for (int32_t j = 0; j < n; j++) {
                int32_t new_u = decay(u[j], keep_u[j]) + shifted(a[j], 6);
                if (new_u > M) new_u -= 2 * M;
                else if (new_u <= -M) new_u += 2 * M;
                int32_t new_v = decay(v[j], keep_v[j]) + new_u + bias[j];
                if (new_v > M - 1) new_v = M - 1;
                if (new_v < 1 - M) new_v = 1 - M;
                u[j] = new_u;
                v[j] = new_v;
            }
            for (int32_t j = 0; j < n; j++) {
                if (v[j] <= threshold[j]) continue;
                v[j] = 0;
                out[j / 8] |= (uint8_t)(1 << j % 8);
                const int32_t *row = weights + (int64_t)j * n;
                int32_t *sum = j < n_excitatory ? sums : sums + n;
                for (int32_t k = 0; k < n; k++) sum[k] += row[k];
            }
            for (int32_t k = 0; k < n; k++)
                a[k] = shifted(sums[k], exponents[0]) +
                       shifted(sums[n + k], exponents[1]);
        }
    }
}
