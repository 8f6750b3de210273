// All kernels, as one module.
#include "boxes.cu"
#include "content.cu"
#include "convolution.cu"
#include "metric.cu"
#include "moments.cu"
#include "picture.cu"
#include "pooling.cu"
#include "vectors.cu"
