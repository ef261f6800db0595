#include "records/line_writer.hpp"

#include "async/cancellation.hpp"
#include "logging/log.hpp"
#include "text/text.hpp"

#include <fmt/format.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <thread>
#include <utility>

namespace autoexec::records {
namespace {

std::string reason_of(const UnwrittenRecords& records)
{
    // Without an error, records were rejected because the queue was full.
    if (!records.reason) return "the queue was full";
    auto text = records.reason.message();
    if (text.ends_with('.')) text.pop_back();
    return text;
}

std::string sentence(std::uint64_t count, std::string_view what, const UnwrittenRecords& records)
{
    return fmt::format("{} {} {} ({})", text::counted(count, "record"), what,
                       text::printable(records.path.string()), reason_of(records));
}

}  // namespace

LineWriter::LineWriter(const asio::any_io_executor& ex, Options options)
    : options_(std::move(options)),
      strand_(ex),
      timer_(options_.clock->make_timer(strand_)),
      progress_(strand_, asio::steady_timer::time_point::max())
{
    spare_.reserve(max_spare);
}

void LineWriter::push(std::string_view file, std::string_view line)
{
    bool just_full = false;
    bool starts = false;
    {
        const std::lock_guard lock(mutex_);
        if (stopped_ || pushed_ - done_ >= 2 * options_.queue_limit) {
            ++refused_;
            return;
        }
        batch_for(file, line.size() + 1).append(line);
        ++pushed_;
        just_full = pushed_ - done_ == options_.queue_limit;
        starts = claim_run();
    }
    if (starts) start_drain();
    if (just_full) asio::post(strand_, [self = shared_from_this()] { self->wake(); });
}

// Whole or not at all.
void LineWriter::Batch::append(std::string_view line)
{
    const auto end = lines.size();
    lines.append(line.size() + 1, '\n');
    line.copy(lines.data() + end, line.size());
    ++count;
}

// Lines of one file stay in their order; those of two files need not.
LineWriter::Batch& LineWriter::batch_for(std::string_view file, std::size_t size)
{
    const auto last = std::find_if(queue_.rbegin(), queue_.rend(),
                                   [file](const Batch& batch) { return batch.file == file; });
    if (last != queue_.rend() && last->lines.size() + size <= max_batch) return *last;
    Batch batch;
    batch.file = file;
    if (!spare_.empty()) {
        batch.lines = std::move(spare_.back());
        spare_.pop_back();
    } else if (last != queue_.rend()) {
        batch.lines.reserve(max_batch);  // it will be filled, too
    }
    return queue_.emplace_back(std::move(batch));
}

// With the mutex held.
void LineWriter::keep_memory(std::string& lines)
{
    constexpr std::size_t min_kept = 4096;
    const bool fits = lines.capacity() >= min_kept && lines.capacity() <= 2 * max_batch;
    if (!fits || spare_.size() == max_spare) return;
    lines.clear();
    spare_.push_back(std::move(lines));
}

bool LineWriter::full() const noexcept
{
    const std::lock_guard lock(mutex_);
    return pushed_ - done_ >= options_.queue_limit;
}

asio::awaitable<error_code> LineWriter::flush(std::shared_ptr<LineWriter> self)
{
    std::uint64_t target = 0;
    {
        const std::lock_guard lock(self->mutex_);
        target = self->pushed_;
        if (self->done_ >= target) co_return error_code{};
    }
    co_return co_await async::uncancellable(self->strand_, written(self, target));
}

asio::awaitable<error_code> LineWriter::stop(std::shared_ptr<LineWriter> self)
{
    {
        const std::lock_guard lock(self->mutex_);
        self->stopped_ = true;
    }
    co_return co_await flush(self);
}

asio::awaitable<error_code> LineWriter::written(std::shared_ptr<LineWriter> self,
                                                std::uint64_t target)
{
    const auto is_written = [&] {
        const std::lock_guard lock(self->mutex_);
        return self->done_ >= target;
    };
    const auto failures = self->failures_;
    self->ensure_running();
    self->wake();
    ++self->flushing_;
    while (!is_written() && self->failures_ == failures) {
        error_code ignored;
        co_await self->progress_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
    --self->flushing_;
    co_return is_written() ? error_code{} : self->last_error_;
}

// With the mutex held. True: the caller has to start a drain.
bool LineWriter::claim_run() noexcept
{
    if (running_ || pushed_ == done_) return false;
    running_ = true;
    abandoned_ = false;
    return true;
}

void LineWriter::ensure_running()
{
    bool starts = false;
    {
        const std::lock_guard lock(mutex_);
        starts = claim_run();
    }
    if (starts) start_drain();
}

void LineWriter::start_drain()
{
    asio::co_spawn(strand_, drain(shared_from_this()), asio::detached);
}

asio::awaitable<void> LineWriter::drain(std::shared_ptr<LineWriter> self)
{
    // co_spawn may start a coroutine at once; then each line would be a separate write.
    co_await asio::post(self->strand_, asio::use_awaitable);
    const bool may_wait = self->options_.durability == Durability::none;
    if (may_wait && self->flushing_ == 0 && !self->full()) co_await self->sleep(max_wait);
    for (;;) {
        const auto ec = self->write();
        const auto problem = self->after_lock_wait(ec);
        if (!ec || problem) self->report(problem);
        if (!self->continues(problem)) co_return;

        if (!ec)
            co_await asio::post(self->strand_, asio::use_awaitable);  // lets flushes complete
        else if (problem)
            co_await self->sleep(retry_interval);
        else
            co_await self->sleep(lock_interval);
    }
}

bool LineWriter::pending() const
{
    const std::lock_guard lock(mutex_);
    return pushed_ != done_;
}

bool LineWriter::continues(error_code ec)
{
    const std::lock_guard lock(mutex_);
    abandoned_ = stopped_ && ec;
    running_ = pushed_ != done_ && !abandoned_;
    return running_;
}

error_code LineWriter::write()
{
    const std::lock_guard io(io_mutex_);
    if (batches_.empty()) {
        const std::lock_guard lock(mutex_);
        batches_.swap(queue_);
        of_several_files_ = std::ranges::any_of(
            batches_, [&](const Batch& batch) { return batch.file != batches_.front().file; });
    }
    error_code ec;
    while (!batches_.empty() && !ec) ec = write_front();
    return ec;
}

error_code LineWriter::write_front()
{
    auto& batch = batches_.front();
    auto rest = std::string_view(batch.lines).substr(batch.written);
    const auto ec = file_of(batch.file).append(batch.file, rest);
    if (ec) record_problem(batch.file, ec);

    const auto left = static_cast<std::uint64_t>(std::ranges::count(rest, '\n'));
    const auto count = std::exchange(batch.count, left) - left;
    batch.written = batch.lines.size() - rest.size();
    std::string memory;  // released without the lock
    if (rest.empty()) {
        memory = std::move(batch.lines);
        batches_.pop_front();
    }
    const std::lock_guard lock(mutex_);
    keep_memory(memory);
    ahead_ += count;
    // A line of another file may be older than these.
    if (!of_several_files_ || batches_.empty()) done_ += std::exchange(ahead_, 0);
    return ec;
}

LogFile& LineWriter::file_of(const std::string& name)
{
    constexpr std::size_t max_open = 2;  // metrics have two files each day
    if (files_.size() == max_open && !files_.contains(name)) files_.clear();
    return files_
        .try_emplace(name, options_.folder, options_.rotation, options_.durability, *options_.disk,
                     options_.chain)
        .first->second;
}

void LineWriter::record_problem(const std::string& file, error_code ec)
{
    const std::lock_guard lock(mutex_);
    failing_file_ = file;
    failure_ = LogFile::is_busy(ec) ? make_error_code(errc::records_delayed) : ec;
}

// A held lock becomes an error only after `lock_timeout`.
error_code LineWriter::after_lock_wait(error_code ec)
{
    if (!LogFile::is_busy(ec)) {
        busy_since_ = time_point::max();
        return ec;
    }
    const auto now = options_.clock->now();
    busy_since_ = std::min(busy_since_, now);
    return now - busy_since_ >= lock_timeout ? make_error_code(errc::records_delayed)
                                             : error_code{};
}

void LineWriter::report(error_code ec)
{
    if (ec) {
        ++failures_;
        last_error_ = ec;
    }
    progress_.cancel();
}

asio::awaitable<void> LineWriter::sleep(std::chrono::nanoseconds duration)
{
    sleeping_ = true;
    co_await timer_->wait_until(options_.clock->now() + duration);
    sleeping_ = false;
}

void LineWriter::wake()
{
    if (sleeping_) timer_->wake();
}

void LineWriter::close() noexcept
{
    try {
        bool running = false;
        bool reported = false;  // as lost, by `stop`
        {
            const std::lock_guard lock(mutex_);
            reported = abandoned_;
            stopped_ = true;
            running = running_;
        }
        constexpr int max_tries = 100;
        for (int tries = 0; pending() && tries < max_tries; ++tries) {
            const auto ec = write();
            if (ec && !LogFile::is_busy(ec)) break;
            if (ec) std::this_thread::sleep_for(lock_interval);
        }
        if (pending() && !reported) log_lost();
        // A sleeping drain would keep the context running.
        if (running) asio::post(strand_, [self = shared_from_this()] { self->wake(); });
    } catch (...) {
        // Out of memory: these lines are lost.
    }
}

void LineWriter::log_lost() const
{
    auto left = unwritten();
    left.lost += std::exchange(left.queued, 0);
    logging::log(logging::LogLevel::error, "{}", lost_sentence(left));
}

void LineWriter::count_lost() noexcept
{
    const std::lock_guard lock(mutex_);
    ++refused_;
}

std::uint64_t LineWriter::lost_lines() const noexcept
{
    const std::lock_guard lock(mutex_);
    return refused_ + (abandoned_ ? pushed_ - done_ - ahead_ : 0);
}

UnwrittenRecords LineWriter::unwritten() const
{
    const std::lock_guard lock(mutex_);
    const auto left = pushed_ - done_ - ahead_;
    UnwrittenRecords records;
    records.queued = abandoned_ ? 0 : left;
    records.lost = refused_ + (abandoned_ ? left : 0);
    if (records.queued + records.lost == 0) return records;
    records.path = options_.folder.path() / failing_file_;
    records.reason = failure_;
    return records;
}

std::string queued_sentence(const UnwrittenRecords& records)
{
    return sentence(records.queued, "not yet written to", records) +
           "; kept in memory and retried until the program ends";
}

std::string lost_sentence(const UnwrittenRecords& records)
{
    return sentence(records.lost, "lost: could not be written to", records);
}

}  // namespace autoexec::records
