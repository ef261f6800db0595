#include "records/unwritten.hpp"

#include "text/text.hpp"

#include <fmt/format.h>

#include <string_view>

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
    return fmt::format("{} {} {} {} ({})", count, count == 1 ? "record" : "records", what,
                       text::printable(records.path.string()), reason_of(records));
}

}  // namespace

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
