"""The rule of thumb: data that is just as useful with its columns swapped is no grid."""
