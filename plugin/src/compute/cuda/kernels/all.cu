// All kernels, as one module.
#include "convolution.cu"
#include "content.cu"
#include "moments.cu"
#include "picture.cu"
#include "pooling.cu"
#include "rates.cu"
