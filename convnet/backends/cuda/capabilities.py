"""From which compute capability on cards have what the backend makes use of; 80 stands for 8.0."""

TENSOR_CORE_CAPABILITY = 80  # tensor cores that know tf32 and bf16
ASYNC_COPY_CAPABILITY = 80  # copies to shared memory that threads do not wait for
