// All kernels, and those of one generation of cards, as a module for it.
#include "all.cu"
#include "hopper.cu"
