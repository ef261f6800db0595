#include "programs/output_reader.hpp"

#include "text/json.hpp"

#include <utility>

namespace autoexec::programs {
namespace {

constexpr std::size_t max_event_length = 16 * 1024 * 1024;

}  // namespace

void OutputReader::feed_lines(std::string_view chunk)
{
    while (!chunk.empty()) {
        const auto end = chunk.find('\n');
        const auto part = chunk.substr(0, end);
        if (!skips_line_ && line_.size() + part.size() > max_event_length) {
            skips_line_ = skipped_a_line_ = true;
            line_ = {};
        }
        if (!skips_line_) line_.append(part);
        if (end == chunk.npos) return;
        read_line();
        chunk.remove_prefix(end + 1);
    }
}

void OutputReader::read_line()
{
    skips_line_ = false;
    auto reading = text::read_json_object(std::exchange(line_, {}));
    if (reading.kind != text::JsonReading::Kind::valid) return;
    has_events_ = true;
    read_message(std::move(reading.object));
}

}  // namespace autoexec::programs
