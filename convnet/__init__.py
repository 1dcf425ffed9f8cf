"""convnet: convolutional nets from two text files, after cuda-convnet.

Importing this package loads neither numba nor PyCUDA; they are imported when a backend is opened.
"""

__version__ = "0.1.0"
