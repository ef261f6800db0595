#pragma once

#include "autoexec/record_sink.hpp"
#include "records/line_writer.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace autoexec::inline v1 {

struct RecordSink::Impl {
    /// Throws `system_error` (`errc::invalid_options`) if nothing may wait in memory.
    Impl(boost::asio::any_io_executor e, records::LineWriter::Options options);

    boost::asio::any_io_executor ex;
    records::Folder folder;
    std::shared_ptr<Clock> clock;
    std::shared_ptr<records::LineWriter> writer;
};

}  // namespace autoexec::inline v1
