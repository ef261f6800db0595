#include "records/record_sink_impl.hpp"

#include "async/launch.hpp"

#include <utility>

namespace autoexec::inline v1 {

RecordSink::Impl::Impl(asio::any_io_executor e, records::LineWriter::Options options)
    : ex(std::move(e)),
      folder(options.folder),
      clock(options.clock ? options.clock : system_clock())
{
    if (options.queue_limit == 0) throw system_error(errc::invalid_options, "queue_limit");
    options.clock = clock;
    writer = std::make_shared<records::LineWriter>(ex, std::move(options));
}

RecordSink::RecordSink(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

RecordSink::~RecordSink()
{
    impl_->writer->close();
}

bool RecordSink::full() const noexcept
{
    return impl_->writer->full();
}

asio::awaitable<error_code> RecordSink::flush()
{
    return records::LineWriter::flush(impl_->writer);
}

void RecordSink::start_stop(std::shared_ptr<Impl> impl, Handler handler)
{
    async::launch(async::Strand(impl->ex), records::LineWriter::stop(impl->writer),
                  std::move(handler));
}

asio::awaitable<error_code> RecordSink::stop()
{
    return records::LineWriter::stop(impl_->writer);
}

asio::any_io_executor RecordSink::get_executor() const noexcept
{
    return impl_->ex;
}

UnwrittenRecords RecordSink::unwritten() const
{
    return impl_->writer->unwritten();
}

std::uint64_t RecordSink::lost_lines() const noexcept
{
    return impl_->writer->lost_lines();
}

}  // namespace autoexec::inline v1
