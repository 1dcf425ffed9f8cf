// Streams that run late: an operation waits in its queue until somebody waits for it.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include <cuda.h>

namespace virtual_gpu {

struct Context;
struct Stream;

// The moment of a stream that an event was recorded at.
struct Moment {
    std::shared_ptr<Stream> stream;
    std::uint64_t ticket = 0;
    bool passed = false;
    double milliseconds = 0;
};

struct Event {
    Context* context;
    bool timed;
    std::shared_ptr<Moment> moment;  // null until recorded
};

// All operations before a ticket, and it, of a stream.
struct Point {
    std::shared_ptr<Stream> stream;
    std::uint64_t ticket;
};

struct Operation {
    std::uint64_t ticket;
    std::vector<Point> after;
    std::function<CUresult()> run;
    std::shared_ptr<Moment> moment;  // that of an event's record
};

struct Stream {
    Context* context;
    bool blocking;  // keeps step with the default stream
    unsigned number;
    int priority;
    std::uint64_t last = 0;  // the newest operation's ticket
    std::deque<Operation> queue;
};

std::shared_ptr<Stream> create_stream(Context& context, bool blocking, int priority);

// Puts an operation into a stream. What it returns is the error of whatever had to run now.
CUresult enqueue(const std::shared_ptr<Stream>& stream, std::function<CUresult()> run,
                 std::shared_ptr<Moment> moment = nullptr, std::vector<Point> after = {});

// Runs a stream, and what it waits for, up to a ticket.
void run_until(Stream& stream, std::uint64_t ticket);
// Runs all of a stream and tells the context's error.
CUresult synchronize(Stream& stream);
// Runs all streams of a context and tells its error.
CUresult synchronize(Context& context);
// Runs all streams of a context and keeps its error for whoever asks.
void drain(Context& context);
// The same for all contexts: before memory goes that any of them may use.
void drain_all();
// Runs one operation, so that whoever asks again and again gets there.
void advance(Stream& stream);

// Tells the context's error once.
CUresult take_error(Context& context);
// Drops what is queued in a context.
void drop_queues(Context& context);

double now_in_milliseconds();

// The stream of a handle in the current context; null if there is none.
std::shared_ptr<Stream> find_stream(CUstream handle);
std::shared_ptr<Event> find_event(CUevent handle);

}  // namespace virtual_gpu
