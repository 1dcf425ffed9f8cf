// Streams and events.
#include "api.hpp"

using namespace virtual_gpu;

namespace {

CUresult forget_stream(const std::shared_ptr<Stream>& stream) {
    // CUDA gives the handle back at once and lets the work end; nobody can tell when it ran.
    run_until(*stream, stream->last);
    stream->context->streams.erase(stream);
    return CUDA_SUCCESS;
}

CUresult make_stream(CUstream* handle, unsigned flags, int priority) {
    CURRENT_CONTEXT(context);
    REQUIRE((flags & ~CU_STREAM_NON_BLOCKING) == 0, CUDA_ERROR_INVALID_VALUE);
    const auto stream = create_stream(*context, (flags & CU_STREAM_NON_BLOCKING) == 0, priority);
    context->streams.insert(stream);
    *handle = reinterpret_cast<CUstream>(stream.get());
    return CUDA_SUCCESS;
}

bool has_passed(const Event& event) { return event.moment == nullptr || event.moment->passed; }

}  // namespace

extern "C" {

CUresult cuStreamCreate(CUstream* handle, unsigned flags) {
    Lock lock;
    return make_stream(handle, flags, 0);
}

CUresult cuStreamCreateWithPriority(CUstream* handle, unsigned flags, int priority) {
    Lock lock;
    return make_stream(handle, flags, priority);
}

CUresult cuStreamDestroy(CUstream handle) {
    Lock lock;
    const std::shared_ptr<Stream> stream = find_stream(handle);
    REQUIRE(stream != nullptr && handle != nullptr, CUDA_ERROR_INVALID_HANDLE);
    return forget_stream(stream);
}

CUresult cuStreamSynchronize(CUstream handle) {
    Lock lock;
    FIND_STREAM(stream, handle);
    return synchronize(*stream);
}

CUresult cuStreamQuery(CUstream handle) {
    Lock lock;
    FIND_STREAM(stream, handle);
    if (stream->queue.empty()) return take_error(*stream->context);
    advance(*stream);
    return CUDA_ERROR_NOT_READY;
}

CUresult cuStreamGetCtx(CUstream handle, CUcontext* context) {
    Lock lock;
    FIND_STREAM(stream, handle);
    *context = to_handle(stream->context);
    return CUDA_SUCCESS;
}

CUresult cuStreamGetFlags(CUstream handle, unsigned* flags) {
    Lock lock;
    FIND_STREAM(stream, handle);
    *flags = stream->blocking ? CU_STREAM_DEFAULT : CU_STREAM_NON_BLOCKING;
    return CUDA_SUCCESS;
}

CUresult cuStreamGetPriority(CUstream handle, int* priority) {
    Lock lock;
    FIND_STREAM(stream, handle);
    *priority = stream->priority;
    return CUDA_SUCCESS;
}

// No stream is ever captured into a graph here.
CUresult cuStreamIsCapturing(CUstream handle, CUstreamCaptureStatus* status) {
    Lock lock;
    FIND_STREAM(stream, handle);
    *status = CU_STREAM_CAPTURE_STATUS_NONE;
    return CUDA_SUCCESS;
}

CUresult cuStreamWaitEvent(CUstream handle, CUevent event_handle, unsigned) {
    Lock lock;
    FIND_STREAM(stream, handle);
    const auto event = find_event(event_handle);
    REQUIRE(event != nullptr, CUDA_ERROR_INVALID_HANDLE);
    if (has_passed(*event)) return CUDA_SUCCESS;
    return enqueue(stream, nullptr, nullptr, {{event->moment->stream, event->moment->ticket}});
}

CUresult cuEventCreate(CUevent* handle, unsigned flags) {
    Lock lock;
    CURRENT_CONTEXT(context);
    const bool timed = (flags & CU_EVENT_DISABLE_TIMING) == 0;
    const auto event = std::make_shared<Event>(Event{context, timed, nullptr});
    *handle = reinterpret_cast<CUevent>(event.get());
    driver().events[*handle] = event;
    return CUDA_SUCCESS;
}

CUresult cuEventDestroy(CUevent handle) {
    Lock lock;
    return driver().events.erase(handle) != 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult cuEventRecord(CUevent event_handle, CUstream handle) {
    Lock lock;
    const auto event = find_event(event_handle);
    REQUIRE(event != nullptr, CUDA_ERROR_INVALID_HANDLE);
    FIND_STREAM(stream, handle);
    REQUIRE(stream->context == event->context, CUDA_ERROR_INVALID_HANDLE);
    event->moment = std::make_shared<Moment>();
    return enqueue(stream, nullptr, event->moment);
}

CUresult cuEventSynchronize(CUevent handle) {
    Lock lock;
    const auto event = find_event(handle);
    REQUIRE(event != nullptr, CUDA_ERROR_INVALID_HANDLE);
    if (!has_passed(*event)) run_until(*event->moment->stream, event->moment->ticket);
    return take_error(*event->context);
}

CUresult cuEventQuery(CUevent handle) {
    Lock lock;
    const auto event = find_event(handle);
    REQUIRE(event != nullptr, CUDA_ERROR_INVALID_HANDLE);
    if (has_passed(*event)) return take_error(*event->context);
    advance(*event->moment->stream);
    return CUDA_ERROR_NOT_READY;
}

CUresult cuEventElapsedTime(float* milliseconds, CUevent start_handle, CUevent end_handle) {
    Lock lock;
    const auto start = find_event(start_handle);
    const auto end = find_event(end_handle);
    REQUIRE(start != nullptr && end != nullptr && start->timed && end->timed, CUDA_ERROR_INVALID_HANDLE);
    REQUIRE(start->moment != nullptr && end->moment != nullptr, CUDA_ERROR_INVALID_HANDLE);
    REQUIRE(has_passed(*start) && has_passed(*end), CUDA_ERROR_NOT_READY);
    *milliseconds = static_cast<float>(end->moment->milliseconds - start->moment->milliseconds);
    return CUDA_SUCCESS;
}

}  // extern "C"
