#include "protocol/metric_reader.hpp"
#include "protocol/record_lines.hpp"
#include "support/metric_lines.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace autoexec::protocol;

/// No line crashes the readers, both read the same, and what they made of one survives being
/// written and read again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static MetricReader reader;
    const std::string_view line(reinterpret_cast<const char*>(data), size);
    const auto expected = parse_metric(line);
    const auto* const found = reader.read(line);
    if ((found != nullptr) != expected.has_value()) std::abort();
    if (found == nullptr) return 0;
    if (!autoexec::test::is_line_of(*found, *expected)) std::abort();
    const auto text = format_attempt(*expected);
    const auto again = parse_metric(text);
    if (!again || format_attempt(*again) != text) std::abort();
    return 0;
}
