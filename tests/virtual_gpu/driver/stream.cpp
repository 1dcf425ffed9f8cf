#include "stream.hpp"

#include <algorithm>
#include <ctime>

#include "context.hpp"
#include "scheduler.hpp"

namespace virtual_gpu {

namespace {

// A queue this long is run although nobody waits, so that memory does not grow for ever.
constexpr std::size_t queue_limit = 4096;

std::uint64_t next_ticket() {
    static std::uint64_t ticket = 0;
    return ++ticket;
}

// The legacy default stream and the blocking streams of a context wait for each other.
void add_legacy_waits(const Stream& stream, std::vector<Point>& after) {
    const Context& context = *stream.context;
    if (&stream != context.default_stream.get()) {
        if (stream.blocking && !context.default_stream->queue.empty())
            after.push_back({context.default_stream, context.default_stream->last});
        return;
    }
    for (const auto& other : context.streams)
        if (other->blocking && !other->queue.empty()) after.push_back({other, other->last});
}

void pass(Operation& operation) {
    if (operation.moment == nullptr) return;
    operation.moment->passed = true;
    operation.moment->milliseconds = now_in_milliseconds();
}

void run_front(Stream& stream) {
    // Taken out after what it waits for: that may lie in this very stream.
    for (const Point& point : std::vector<Point>(stream.queue.front().after)) run_until(*point.stream, point.ticket);
    if (stream.queue.empty()) return;  // an error emptied it
    Operation operation = std::move(stream.queue.front());
    stream.queue.pop_front();
    const CUresult result = operation.run ? operation.run() : CUDA_SUCCESS;
    pass(operation);
    if (result == CUDA_SUCCESS) return;
    Context& context = *stream.context;
    if (context.error == CUDA_SUCCESS) context.error = result;
    drop_queues(context);
}

}  // namespace

std::shared_ptr<Stream> create_stream(Context& context, bool blocking, int priority) {
    static unsigned number = 0;
    return std::make_shared<Stream>(Stream{&context, blocking, number++, priority, 0, {}});
}

CUresult enqueue(const std::shared_ptr<Stream>& stream, std::function<CUresult()> run,
                 std::shared_ptr<Moment> moment, std::vector<Point> after) {
    add_legacy_waits(*stream, after);
    stream->last = next_ticket();
    if (moment != nullptr) {
        moment->stream = stream;
        moment->ticket = stream->last;
    }
    stream->queue.push_back({stream->last, std::move(after), std::move(run), std::move(moment)});
    if (driver().late && stream->queue.size() <= queue_limit) return CUDA_SUCCESS;
    return synchronize(*stream);
}

void run_until(Stream& stream, std::uint64_t ticket) {
    while (!stream.queue.empty() && stream.queue.front().ticket <= ticket) run_front(stream);
}

CUresult synchronize(Stream& stream) {
    run_until(stream, stream.last);
    return take_error(*stream.context);
}

CUresult synchronize(Context& context) {
    drain(context);
    return take_error(context);
}

void drain(Context& context) {
    std::vector<std::shared_ptr<Stream>> streams{context.default_stream};
    streams.insert(streams.end(), context.streams.begin(), context.streams.end());
    std::sort(streams.begin(), streams.end(), [](const auto& a, const auto& b) { return a->number < b->number; });
    // Which of several streams runs first is nobody's promise: the order of blocks says it.
    for (const unsigned i : sequence(scheduler().block_order, streams.size(), scheduler().seed))
        run_until(*streams[i], streams[i]->last);
}

void drain_all() {
    for (const auto& context : driver().contexts) drain(*context);
}

void advance(Stream& stream) {
    if (!stream.queue.empty()) run_front(stream);
}

CUresult take_error(Context& context) {
    const CUresult error = context.error;
    context.error = CUDA_SUCCESS;
    return error;
}

void drop_queues(Context& context) {
    const auto drop = [](Stream& stream) {
        for (Operation& operation : stream.queue) pass(operation);
        stream.queue.clear();
    };
    drop(*context.default_stream);
    for (const auto& stream : context.streams) drop(*stream);
}

double now_in_milliseconds() {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) * 1e-6;
}

std::shared_ptr<Stream> find_stream(CUstream handle) {
    Context* current = current_context();
    if (handle == nullptr || handle == CU_STREAM_LEGACY) return current == nullptr ? nullptr : current->default_stream;
    for (const auto& context : driver().contexts)
        for (const auto& stream : context->streams)
            if (reinterpret_cast<CUstream>(stream.get()) == handle) return stream;
    return nullptr;
}

std::shared_ptr<Event> find_event(CUevent handle) {
    const auto found = driver().events.find(handle);
    return found == driver().events.end() ? nullptr : found->second;
}

}  // namespace virtual_gpu
